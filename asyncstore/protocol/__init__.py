"""PS3.8 and PS3.7 without any I/O: received bytes become events, decisions become bytes to send.

This room knows no sockets, files or event loop, so tests call it as plain functions and tables:

    pdu            encodes P-DATA-TF fragments, decodes every PDU
    associate      A-ASSOCIATE-RQ, -AC and -RJ
    state          the state machine of PS3.8 table 9-10, as data
    upper_layer    one association: the state table, the decoder and the PDUs to send
    command        C-STORE and C-ECHO command sets
    message        puts command sets and data sets together from fragments
    requests       which requests may be sent now, and which request a response answers
    known_responses  recognises responses by comparing whole PDUs
    status         the meaning of each status
    deviations     harmless deviations of peers from the standard
    text           text from peers, made safe to show
"""
