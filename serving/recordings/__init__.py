"""The splitter, a process beside the gateway: long work becomes small requests in the ordinary queue.

No model server can interrupt a batch, so what comes after a request of 64 clips, or of an hour of audio, would wait
until all of it is answered. The gateway sends such requests here. What has many clips is cut into groups, a recording
into groups of windows; each group is a request of its own to the gateway's inner listener, few of them are in flight at
a time, and their answers become one answer in the caller's form. Everything else is passed on unchanged, so that it is
answered, or refused, as it is without the splitter.

    process.py        the process, as the service starts, watches and stops it
    application.py    requests in, answers out
    bodies.py         bodies that are parsed, in bounded memory
    asked.py          what a request is
    clips.py          a request of many clips → its answer
    recording.py      a recording → the answer about its windows
    groups.py         clips → groups of bounded audio-seconds
    tensors.py        a group → the body of its request; its answer → values
    sending.py        groups → their answers in order, few in flight at a time
    merging.py        the groups' answers → one answer in the caller's form
    upstream.py       requests to the inner listener
    spool.py          uploads on the disk
    windows.py        what a caller asks for; the cutting of a recording
    turns.py          the windows' answers → the answer about the recording
"""
