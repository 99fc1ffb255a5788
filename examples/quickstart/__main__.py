"""Three models, loaded for as long as this stack declares them.

Together they take 7 GB of GPU RAM: about $0.42 for each hour that they are loaded, at the vendor's
price of June 2024.
"""

from __future__ import annotations

import pulumi

import bytez_provider as bytez

chat = bytez.Model("chat", model_id="openai-community/gpt2", concurrency=1)
coder = bytez.Model("coder", model_id="deepseek-ai/deepseek-coder-1.3b-instruct")
tales = bytez.Model("tales", model_id="roneneldan/TinyStories-8M")

pulumi.export("chat", chat.status)
pulumi.export("coder", coder.status)
pulumi.export("tales", tales.status)
