"""The serving graph. `app.build` draws it; `exchange.py` is where a reply is chosen."""
