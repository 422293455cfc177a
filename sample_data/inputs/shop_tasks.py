from django_tasks import task


@task
def charge(order):
    raise ConnectionError(f"no answer for order {order}")
