INSTALLED_APPS = ["django_tasks", "django_tasks_db", "failaware.integrations.django.Failures"]
FAILAWARE = "failaware.db"

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
