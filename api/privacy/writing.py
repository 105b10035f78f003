"""Everything of a customer, written as it is read."""

from typing import BinaryIO

from api.seed import operator_call, operator_database
from domain.config import Settings
from domain.kernel.ids import CustomerId, decode
from domain.privacy.exporting import service as exporting


async def write_export(settings: Settings, customer: str, file: BinaryIO) -> None:
    """Write everything of a customer, page by page. Raises IdMalformed, CustomerNotFound."""
    customer_id = CustomerId(decode("customer", customer))
    async with operator_database(settings) as database:
        async for lines in exporting.everything(database, operator_call(), customer_id):
            file.write(lines)
    file.flush()
