"""The dashboard as code: panels → Grafana's JSON, and the same panels drawn from a recorded run."""
