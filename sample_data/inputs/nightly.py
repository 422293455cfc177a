from failaware import Store

store = Store.open("failaware.db")

with store.attempt("billing.sync", {"month": "2026-11"}, key="billing:2026-11"):
    raise TimeoutError("no answer from the ledger after 30 s")
