"""The thin proxy: four vendors' JSON contracts in front of one engine."""
