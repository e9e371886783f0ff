"""One room per vendor's document; no room knows another."""
