from airflow.plugins_manager import AirflowPlugin

from failaware.integrations.airflow import Recorder


class Failures(AirflowPlugin):
    name = "failures"
    listeners = [Recorder("failaware.db")]
