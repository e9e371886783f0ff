"""The room of Alibaba Cloud CompareFaces; ``route.router`` is its door."""
