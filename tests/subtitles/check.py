"""Makes a meeting of hostile texts, and compares what readers of subtitles make of its exports with what was said."""

import html
import json
import pathlib
import shutil
import subprocess
import sys

TEXTS = [
    ("Ann", "We ship <b>bold</b> & fast --> on Friday."),
    ("Bo & Co", "&amp; is no escape here, nor is &lt;i&gt;."),
    ("<v Cy>", "</v><v Ann>I am not Ann."),
    ("Dé 日本", "Ünïcödé, 好, \U0001f600 and a \u2028 separator."),
    ("Eve", "{\\an8}top {b}bold{/b}"),
    ("Flo", "WEBVTT NOTE STYLE REGION"),
    ("Gus", "1"),
    ("Hal", "00:00:01.000 --> 00:00:02.000"),
    ("Ida", "x" * 4000),
]


def make(folder):
    started = "2026-05-02T09:00:00.000Z"
    sources = [{"source": "text", "voice_session_id": "0" * 32, "kind": "pcm_push"}]
    segments = []
    for n, (speaker, text) in enumerate(TEXTS):
        segments.append({
            "n": n, "source": "text", "speaker": speaker, "text": text, "at": started,
            # One lasts no time at all, and one begins before the one above it.
            "start_ms": 1500 * n if n != 5 else 100, "end_ms": 1500 * n + 1400 if n != 5 else 100,
        })
    meeting = {
        "id": "hostile", "title": "Plan --> done", "status": "ended", "started_at": started,
        "ended_at": started, "ended_by": "stop", "owner": {"role": "client"}, "sources": sources,
        "participants": [], "duration_ms": 20000, "segments": len(TEXTS), "words": 0,
        "languages": [], "summary": None, "ingest": False, "version": 1,
    }
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    (folder / "meeting.json").write_text(json.dumps(meeting))
    lines = (json.dumps(segment, ensure_ascii=False) + "\n" for segment in segments)
    (folder / "transcript.jsonl").write_text("".join(lines))


def plain(text):
    return " ".join(text.split())


def like(text):
    """What SubRip, which has no escapes, is given for text that a player would take for its own."""
    text = text.replace("-->", "→").replace("<", "‹").replace(">", "›")
    return plain(text.replace("{", "(").replace("}", ")"))


def same(reader, read, said):
    if read != said:
        wrong = next(it for it in zip(read + [None], said + [None]) if it[0] != it[1])
        sys.exit(f"{reader}: {len(read)} cues, {len(said)} were said: {wrong[0]!r} is not {wrong[1]!r}")
    print(f"{reader}: {len(read)} cues, each as it was said")


def read(root):
    import srt
    import webvtt

    said = json.loads((root / "shown.json").read_text())["transcript"]
    said.sort(key=lambda it: (it["start_ms"], it["n"]))
    times = [(it["start_ms"], max(it["end_ms"], it["start_ms"] + 1)) for it in said]

    cues = list(webvtt.read(root / "hostile.vtt"))
    ms = lambda it: webvtt.models.Timestamp.from_string(it).in_milliseconds()
    found = [(ms(it.start), ms(it.end), html.unescape(it.voice or ""), plain(html.unescape(it.text)))
             for it in cues]
    same("webvtt-py", found, [(*when, it["speaker"], plain(it["text"])) for when, it in zip(times, said)])

    cues = list(srt.parse((root / "hostile.srt").read_text(), ignore_errors=False))
    ms = lambda it: it // srt.timedelta(milliseconds=1)
    found = [(ms(it.start), ms(it.end), plain(it.content)) for it in cues]
    lines = [f"{like(it['speaker'])}: {like(it['text'])}" for it in said]
    same("srt", found, [(*when, line) for when, line in zip(times, lines)])

    if not shutil.which("ffprobe"):
        print("LEFT OUT: ffmpeg's reading of the subtitles: ffprobe is not installed")
        return
    for name in ["hostile.vtt", "hostile.srt"]:
        show = ["-v", "error", "-show_entries", "packet=pts_time,duration_time", "-of", "json"]
        told = subprocess.run(["ffprobe", *show, root / name], check=True, capture_output=True, text=True)
        packets = json.loads(told.stdout)["packets"]
        found = [(round(float(it["pts_time"]) * 1000), round(float(it["duration_time"]) * 1000)) for it in packets]
        if told.stderr:
            sys.exit(f"ffmpeg, {name}: {told.stderr}")
        same(f"ffmpeg, {name}", found, [(start, end - start) for start, end in times])


if __name__ == "__main__":
    {"make": make, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
