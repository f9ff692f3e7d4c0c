"""From each version of the store's tables to the next, a file a version, run by `versions.py`.

`rapport.store.tables` says how the tables are now; a new store is made from it. A change of it
raises `STORE_VERSION` and adds a file here whose `revision` is the new version and whose
`down_revision` is the one before. Migrations only add, so that a gateway of the older version goes
on while a newer one starts; version 1 is where they begin.
"""
