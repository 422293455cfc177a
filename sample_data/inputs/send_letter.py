import asyncio

from arq import create_pool
from letters import WorkerSettings


async def main():
    redis = await create_pool(WorkerSettings.redis_settings)
    await redis.enqueue_job("send", 17)


asyncio.run(main())
