"""HTTP/2 on the connections that aiohttp opens."""
