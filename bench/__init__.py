"""Compares sunsocket with other WebSocket clients: `python -m bench --help`, README.md for the method."""
