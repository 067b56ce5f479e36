"""Run statements in Spark's local mode, in an environment of its own; :mod:`.test_spark` starts it.

The folder given holds ``job.json`` and one Parquet file for each input; outputs are written there.
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def main(folder: Path) -> None:
    """Inputs become views, statements run in their order, outputs become Parquet."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        # For so few rows compiling takes far longer than computing.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        .getOrCreate()
    )
    try:
        for name in job["inputs"]:
            spark.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
        for name, sql in job["statements"]:
            try:
                spark.sql(sql).createOrReplaceTempView(name)
                if name in job["outputs"]:
                    spark.table(name).write.parquet(str(folder / name), mode="overwrite")
            except Exception as problem:
                raise RuntimeError(f"{name}: {problem}\n{sql}") from problem
    finally:
        spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
