from prefect import flow, task

from failaware.integrations.prefect import Recorder

recorder = Recorder("failaware.db")


@recorder
@task(retries=1, retry_delay_seconds=0.1)
def refund(order):
    raise ConnectionError(f"no answer for order {order}")


@flow
def refunds():
    refund(17, return_state=True)
    return "done"


if __name__ == "__main__":
    refunds()
