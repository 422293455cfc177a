"""A Django project: its tasks with a real worker, its commands, and what it logs."""

import json
import os
import sys
import time

import pytest

from tests import processes
from tests.conftest import assert_rebuild_changes_nothing
from tests.integrations.killed import WAITS_FOR_STARTS, assert_lost

SETTINGS = """
import os
SECRET_KEY = "x"
USE_TZ = bool(os.environ.get("ZONES"))
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.views"
INSTALLED_APPS = ["django_tasks", "django_tasks_db", "shop", "failaware.integrations.django.Failures"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "django.db"}}
TASKS = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend"},
    "now": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"},
}
FAILAWARE = os.environ["STORE"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"failures": {"()": "failaware.integrations.logging.FailureHandler", "store": os.environ["STORE"]}},
    "loggers": {"django.request": {"handlers": ["failures"]}},
}
"""
FILES = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
""",
    "settings.py": SETTINGS,
    "shop/__init__.py": "",
    "shop/tasks.py": WAITS_FOR_STARTS
    + """
import os, signal, sys
from django_tasks import task

@task(queue_name="default")
def charge(order, api_token=None):
    try:
        raise ConnectionError("connection reset")
    except ConnectionError as error:
        raise RuntimeError(f"order {order} is not charged") from error

@task
def works():
    return 42

@task(backend="now")
def at_once():
    raise LookupError("no address")

@task
def dies():
    os.kill(os.getpid(), signal.SIGKILL)
""",
    "shop/views.py": """
from django.urls import path

def checkout(request, order):
    raise LookupError(f"order {order} has no address")

urlpatterns = [path("checkout/<int:order>", checkout)]
""",
    "shop/management/__init__.py": "",
    "shop/management/commands/__init__.py": "",
    "shop/management/commands/sync_stock.py": """
import sys
from django.core.management import BaseCommand, CommandError, call_command

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("how")

    def handle(self, how, **options):
        if how == "nested":
            call_command("sync_stock", "works")
        elif how == "raises":
            raise LookupError("no warehouse")
        elif how == "refuses":
            raise CommandError("no warehouse", returncode=3)
        elif how == "exits":
            sys.exit(4)
        elif how == "once" and not sys.stdin.read():
            raise LookupError("not yet")
""",
}
SEND = "from shop.tasks import *\ncharge.enqueue(17, api_token='abcdef123456')\nworks.enqueue()\nat_once.enqueue()\n"
REQUEST = "from django.test import Client\nClient(raise_request_exception=False).get('/checkout/17')\n"


@pytest.fixture
def manage(path, tmp_path):
    """Runs manage.py: manage("command", …); `store` replaces the path of the store."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*words, status=0, text="", **env):
        done = processes.run(
            [sys.executable, "manage.py", *words],
            cwd=tmp_path,
            env={**os.environ, "STORE": str(path), **env},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done

    return run


def events_of(inspector):
    return {event.event_type: event for event in (inspector.event(each.event_id) for each in inspector.events())}


@pytest.mark.thinned
@pytest.mark.sqlite
@pytest.mark.parametrize("zones", ["", "1"])
@pytest.mark.large
def test_a_worker_records_every_task(manage, store, inspector, zones):
    manage("migrate", "-v", "0", ZONES=zones)
    manage("shell", "-v", "0", "-c", SEND, ZONES=zones)
    manage("db_worker", "--batch", "--no-startup-delay", ZONES=zones)
    events = events_of(inspector)
    assert {name: event.sync_status for name, event in events.items()} == {
        "shop.tasks.charge": "DEAD",
        "shop.tasks.works": "SYNCED",
        "shop.tasks.at_once": "DEAD",
        "db_worker": "SYNCED",
    }
    charge = events["shop.tasks.charge"]
    assert (charge.source, charge.key.startswith("django:")) == ("django", True)
    (attempt,) = charge.attempts
    assert (attempt.error_type, attempt.error_message) == ("RuntimeError", "order 17 is not charged")
    assert attempt.cause == "ConnectionError: connection reset"
    assert "django_tasks" not in attempt.traceback
    assert abs(attempt.started_at - time.time() * 1_000_000) < 60_000_000
    assert attempt.retry_reason == "Django does not try it again"
    payload = json.loads(charge.event_payload)
    assert (payload["args"], payload["kwargs"]) == ([17], {"api_token": "[masked]"})
    assert_rebuild_changes_nothing(store)


@pytest.mark.large
@pytest.mark.sqlite
def test_a_command_line_is_one_event_and_a_success_resolves_it(manage, store, inspector):
    traceback = manage("sync_stock", "raises", status=1).stderr
    assert traceback.endswith("LookupError: no warehouse\n")
    assert manage("sync_stock", "refuses", status=3).stderr == "CommandError: no warehouse\n"
    manage("sync_stock", "exits", status=4)
    manage("sync_stock", "once", status=1)
    manage("sync_stock", "once", text="now")
    manage("sync_stock", "nested")
    manage("check")  # Django's own
    manage("sync_stock", status=2)  # not started: the arguments are wrong
    events = {event.key: event for event in (inspector.event(each.event_id) for each in inspector.events())}
    assert {key: [each.error_type for each in event.attempts] for key, event in events.items()} == {
        "django:manage.py sync_stock raises": ["LookupError"],
        "django:manage.py sync_stock refuses": ["django.core.management.base.CommandError"],
        "django:manage.py sync_stock exits": ["SystemExit"],
        "django:manage.py sync_stock once": ["LookupError", None],
        "django:manage.py sync_stock nested": [None],
    }
    assert events["django:manage.py sync_stock once"].sync_status == "SYNCED"
    failed = events["django:manage.py sync_stock raises"]
    assert failed.event_type == "sync_stock"
    assert failed.attempts[0].traceback.count("  File ") == 1


@pytest.mark.sqlite
def test_a_request_that_fails_is_recorded_through_the_settings_of_logging(manage, inspector):
    manage("shell", "-v", "0", "-c", REQUEST)
    (event,) = events_of(inspector).values()
    assert event.event_type == "django.request"
    assert event.attempts[0].error_message == "order 17 has no address"
    assert json.loads(event.event_payload)["extra"]["status_code"] == 500


@pytest.mark.sqlite
def test_what_cannot_be_recorded_is_logged_and_changes_nothing(manage, tmp_path):
    missing = str(tmp_path / "no" / "such.db")
    (tmp_path / "settings.py").write_text(SETTINGS.partition("LOGGING")[0])
    done = manage("sync_stock", "refuses", status=3, STORE=missing)
    assert "an attempt is not recorded: " in done.stderr
    assert done.stderr.endswith("CommandError: no warehouse\n")
    manage("sync_stock", "once", text="now", STORE=missing)


@pytest.mark.sqlite
@pytest.mark.large
def test_a_task_whose_worker_is_killed_is_recorded(manage, store, inspector, clock):
    manage("migrate", "-v", "0")
    manage("shell", "-v", "0", "-c", "from shop.tasks import *\ndies.enqueue()\n")
    manage("db_worker", "--batch", "--no-startup-delay", status=-9)
    assert_lost(store, inspector, clock, "shop.tasks.dies", "django")
