"""What gunicorn loads: `gunicorn wsgi:app`, with the home in `DRAINAGE_HOME`."""

from gateway.app import create_app

app = create_app()
