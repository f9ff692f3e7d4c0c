"""Settings of the jobs: `<job>.yaml`, and `<job>.smoke.yaml` for seconds on a CPU."""
