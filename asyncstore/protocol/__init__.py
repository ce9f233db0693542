"""PS3.8 and PS3.7 without any I/O: bytes in, events out; decisions out, bytes in.

Nothing in this room knows of sockets, files or an event loop, so all of it is tested as plain functions and tables:

    pdu            P-DATA-TF fragments out, any PDU in
    associate      A-ASSOCIATE-RQ, -AC and -RJ
    state          the state machine of PS3.8 table 9-10, as data
    upper_layer    one association: the table, the decoder and what is to be sent
    command        C-STORE and C-ECHO command sets
    message        command sets and data sets out of fragments
    requests       what may be sent now, and which response answers which
    status         what a status means
"""
