//! Tests of files that a kill left at any point, and of hostile directories.

use std::os::unix::fs::symlink;

use carport_meetings_record::{EndedBy, Owner, Role, Segment, Status, line};
use proptest::prelude::*;

use super::*;

fn kept(id: &str) -> Kept {
    let owner = Owner { role: Role::Client, agent_id: None };
    let meeting = Meeting::begin(id.into(), String::new(), <_>::default(), owner, true);
    Kept::new(meeting, Some(&GraphRef::Namespace("n".into())))
}

fn segment(n: u64) -> Segment {
    Segment {
        n,
        source: "main".into(),
        speaker: "S1".into(),
        text: format!("text {n}"),
        start_ms: n * 1000,
        end_ms: n * 1000 + 500,
        at: <_>::default(),
        confidence: None,
        language: None,
        words: None,
    }
}

fn shelf(root: &Path, durability: Durability) -> Shelf {
    Shelf::new(root.to_owned(), DiskSync::new(durability))
}

#[tokio::test]
async fn a_meeting_is_there_whole_and_its_name_taken_once() {
    for durability in [Durability::Process, Durability::Interval, Durability::Record] {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path(), durability);
        let mut file = shelf.begin(&kept("M.1")).unwrap();
        assert_eq!(shelf.begin(&kept("M.1")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        file.append(line(&segment(0)).unwrap().as_bytes()).await.unwrap();
        assert_eq!(shelf.transcript("M.1", Wanted::ALL).unwrap().segments, [segment(0)]);
        assert_eq!(shelf.kept("M.1").unwrap().unwrap(), kept("M.1"));
        assert_eq!(shelf.kept("m.1").unwrap(), None, "names differ by case too");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left aside");
        assert!(shelf.remove("M.1").unwrap() && !shelf.remove("M.1").unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_is_no_meeting_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let shelf = shelf(root.path(), Durability::Process);
    shelf.begin(&kept("good")).unwrap();
    for name in ["empty", ".hidden", "other"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join("file"), "x").unwrap();
    fs::copy(root.path().join("good/meeting.json"), root.path().join("other/meeting.json"))
        .unwrap();
    symlink(root.path().join("good"), root.path().join("link")).unwrap();
    let listed = || {
        let mut ids = Vec::new();
        shelf.each(|it| ids.push(it.meeting.id)).unwrap();
        ids
    };
    assert_eq!(listed(), ["good"]);
    assert_eq!(shelf.told.lock().len(), 2, "a directory that holds no meeting is told of");
    assert_eq!(shelf.kept("other").unwrap(), None);
    assert!(shelf.kept("link").is_err());
    fs::remove_file(root.path().join("good/meeting.json")).unwrap();
    symlink("/etc/passwd", root.path().join("good/meeting.json")).unwrap();
    assert!(shelf.kept("good").is_err() && listed().is_empty());
}

#[test]
fn a_huge_or_hostile_transcript_is_read_in_pages() {
    use std::io::{Seek, SeekFrom};
    let root = tempfile::tempdir().unwrap();
    let shelf = shelf(root.path(), Durability::Process);
    drop(shelf.begin(&kept("m")).unwrap());
    let path = root.path().join("m").join(TRANSCRIPT);
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    let lines = |numbers: std::ops::Range<u64>| -> String {
        numbers.map(|n| line(&segment(n)).unwrap()).collect()
    };
    file.write_all(lines(0..500).as_bytes()).unwrap();
    // A hole in the file, which takes no room on the disk.
    file.seek(SeekFrom::Current(16 << 20)).unwrap();
    file.write_all(b"\n\xff\xfe\n").unwrap();
    file.write_all(lines(500..1000).as_bytes()).unwrap();
    let wanted = Wanted { from: 498, limit: 4, bytes: 1 << 20 };
    let found = shelf.transcript("m", wanted).unwrap();
    let numbers: Vec<_> = found.segments.iter().map(|it| it.n).collect();
    assert_eq!((numbers, found.next), (vec![498, 499, 500, 501], Some(502)));
    assert_eq!((found.damaged, found.whole), (vec![501, 502], fs::metadata(&path).unwrap().len()));
    assert_eq!(shelf.transcript("m", Wanted::ALL).unwrap().segments.len(), 1000);
}

#[test]
fn what_was_half_made_or_half_removed_goes() {
    let root = tempfile::tempdir().unwrap();
    let shelf = shelf(root.path(), Durability::Process);
    for name in [".new-1", ".old-2", ".git"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("meeting.json"), "{").unwrap();
    }
    shelf.recover().unwrap();
    let left: Vec<_> =
        fs::read_dir(root.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, [".git"], "what is somebody else's stays");
}

#[test]
fn a_meeting_is_interrupted_though_its_transcript_is_no_file() {
    let root = tempfile::tempdir().unwrap();
    let shelf = shelf(root.path(), Durability::Process);
    drop(shelf.begin(&kept("m")).unwrap());
    let (path, aside) = (root.path().join("m").join(TRANSCRIPT), root.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    fs::write(&aside, "torn").unwrap();
    symlink(&aside, &path).unwrap();
    shelf.recover().unwrap();
    let found = shelf.kept("m").unwrap().unwrap().meeting;
    assert_eq!((found.status, found.segments), (Status::Interrupted, 0));
    assert_eq!(fs::read_to_string(&aside).unwrap(), "torn");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A kill at any byte of the transcript: the meeting is interrupted, every whole line is there, and doing
    /// it again changes nothing.
    #[test]
    fn a_kill_anywhere_loses_no_whole_line(count in 0u64..5, at in any::<prop::sample::Index>()) {
        let root = tempfile::tempdir().unwrap();
        let shelf = shelf(root.path(), Durability::Process);
        drop(shelf.begin(&kept("m")).unwrap());
        let lines: Vec<_> = (0..count).map(|n| line(&segment(n)).unwrap()).collect();
        let text = lines.concat();
        let cut = at.index(text.len() + 1);
        let path = root.path().join("m").join(TRANSCRIPT);
        fs::write(&path, &text[..cut]).unwrap();
        let whole = text[..cut].matches('\n').count() as u64;
        shelf.recover().unwrap();
        let found = shelf.kept("m").unwrap().unwrap();
        prop_assert_eq!(found.meeting.status, Status::Interrupted);
        prop_assert_eq!(found.meeting.ended_by, Some(EndedBy::Crash));
        prop_assert_eq!(found.meeting.segments, whole);
        prop_assert_eq!(found.graph(), Some(GraphRef::Namespace("n".into())));
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), lines[..whole as usize].concat());
        shelf.recover().unwrap();
        prop_assert_eq!(shelf.kept("m").unwrap().unwrap(), found);
    }
}
