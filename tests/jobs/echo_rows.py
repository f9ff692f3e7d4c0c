"""A job for tests: turns in, a part out, as slow, as failing or as stubborn as it is told to be.

python -m jobs.echo_rows
"""

import sys
import time

from rapport.config import JobConfig
from rapport.errors import DataError
from rapport.home import Home
from rapport.pipeline.job import Job, Result
from rapport.pipeline.running import run_job
from rapport.scratch import replaced


class EchoConfig(JobConfig):
    wait_s: float = 0.0
    fails: bool = False
    refused: bool = False
    left: int = 0


def echo(config: EchoConfig) -> Result:
    if config.fails:
        raise DataError("it was told to fail", "tell it otherwise")
    with replaced(Home(config.home).work / "encoder") as folder:
        (folder / "a.txt").write_text(f"seed {config.seed}", encoding="utf-8")
        (Home(config.home).root / "started").touch()
        time.sleep(config.wait_s)
    return {"seed": config.seed, "refused": config.refused, "left": config.left}


JOB = Job(config=EchoConfig, call=echo, reads=("turns",), writes=("encoder",), rows_per_s=10)

if __name__ == "__main__":
    sys.exit(run_job(JOB, file=__file__))
