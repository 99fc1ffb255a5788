"""The requests of the vendor doc, word for word, get its answers.

Two things are added: the key, and the comma that is missing in the doc's delete.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import KEY

LOAD = """{
    "key": `API_KEY`,
    "modelId": "openai-community/gpt2",
    "concurrency": 1
}"""
STATUS = """{
    "key": `API_KEY`,
    "modelId": "openai-community/gpt2"
}"""
RUN = """{
    "key": `API_KEY`,
    "app": false,
    "modelId": "openai-community/gpt2",
    "text": "Once upon a time there was a",
    "params": {
        "min_length": 30,
        "max_length": 256
    },
    "stream": true
}"""
LIST = INSTANCES = """{
    "key": `API_KEY`
}"""
DELETE = """{
    "key": `API_KEY`
    "modelId": "openai-community/gpt2"
}"""


def answer(emulator: Emulator, endpoint: str, data: str) -> str:
    """Send a request of the doc to the emulator, and return the answer."""
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=20)
    body = data.replace("`API_KEY`", f'"{KEY}"')
    connection.request("POST", f"/model/{endpoint}", body.encode(), headers)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_the_vendor_docs_requests_get_its_answers(bytez_emulator: Emulator) -> None:
    assert answer(bytez_emulator, "list", LIST).startswith(
        '[{"name":"EleutherAI/gpt-neo-2.7B","requiredRAM":2.23,"benchmarked":true},'
        '{"name":"Gustavosta/MagicPrompt-Stable-Diffusion","requiredRAM":0.94,"benchmarked":true},'
        '{"name":"Gustavosta/MagicPrompt-Stable-Diffusion.onnx.8-bit","requiredRAM":null,'
        '"benchmarked":false},'
    )
    assert answer(bytez_emulator, "load", LOAD) == (
        '{"modelId":"openai-community/gpt2","status":"started","concurrency":1}'
    )
    bytez_emulator.advance(403)
    status = (
        '{"modelId":"openai-community/gpt2","status":"RUNNING","concurrency":1,"inferences":0,'
        '"expirationPeriodSeconds":1800,"expirationPeriodMinutes":30,'
        '"expiresAt":"2024-05-28T00:12:18.863Z","created":"2024-05-27T23:35:35.863Z",'
        '"modified":"2024-05-27T23:42:18.863Z"}'
    )
    assert answer(bytez_emulator, "status", STATUS) == status
    assert answer(bytez_emulator, "instances", INSTANCES) == f"[{status}]"
    text = answer(bytez_emulator, "run", RUN)
    assert text.startswith("Once upon a time there was a ")
    assert len(text.split()) > 256
    assert answer(bytez_emulator, "delete", DELETE) == '{"error":"the body is not valid JSON"}'
    assert len(bytez_emulator.instances()) == 1
    assert answer(bytez_emulator, "delete", DELETE.replace("`API_KEY`\n", "`API_KEY`,\n")) == (
        '{"modelId":"openai-community/gpt2","status":"stopped"}'
    )
    assert answer(bytez_emulator, "instances", INSTANCES) == "[]"
