"""What a call to a provider becomes: bytes of a request and its answer in, one step out.

Pure functions without a dependency; they run on the SDK's background thread, never in the caller's path. A body they do
not understand gives a step with less in it, never an exception. `sdks/contract/calls` holds what they must do, for this
SDK and for those of the other languages.
"""

from .call import Call, Chunk
from .endpoints import Endpoint, endpoint_of
from .step import request_facts, step_of
from .wire import decoder_of

__all__ = ["Call", "Chunk", "Endpoint", "decoder_of", "endpoint_of", "request_facts", "step_of"]
