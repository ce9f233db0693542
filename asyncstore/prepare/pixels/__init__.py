"""Decode and encode pixel data: from the fragments of one transfer syntax to native pixel cells, and back.

Rules:

1. A frame is decoded, checked and written before the next one is read, so memory follows the size of a frame.
2. The codestream says what it holds: size, components, precision, sign, colour. Its attributes are compared with that.
   Where both cannot be true, the data set is not converted. Nothing is guessed.
3. Decoded frames are pixel cells as PS3.5 8.1 has them: samples interleaved, little endian, sign extended.
4. A frame that was encoded losslessly is decoded again and compared before it is sent.
5. Libraries are imported by worker processes only, when the first frame needs them.

Modules: ``allowance`` (what is allowed), ``syntaxes`` (which transfer syntax needs which library), ``attributes`` (the
image in a data set), ``codestreams`` (headers of frames), ``frames`` (fragments of frames), ``colour``, ``libjpeg``
(its warnings), ``memory`` (kept between frames), ``decoders``, ``encoders``.
"""
