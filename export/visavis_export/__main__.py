"""``python -m visavis_export``, which ``visavis export`` runs."""

from visavis_export.main import app

app(prog_name="visavis export")
