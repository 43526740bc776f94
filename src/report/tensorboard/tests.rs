use super::*;
use crate::atomic::tests::Folder;

/// A file with an event of each kind, at steps 1, 2, 2 and 3.
fn one_of_each(path: &Path) -> Vec<Value> {
    let mut log = EventLog::resume(path, 0).unwrap();
    log.scalars(1, &[("a", 0.1), ("b/c", -3e40), ("d", f64::NAN)]).unwrap();
    log.image(2, "samples", b"\x89PNG of a kind", 300, 28, 3).unwrap();
    log.histogram(2, "logits", &[-1.0, 0.0, f32::NAN, 7.5, 7.5]).unwrap();
    log.scalars(3, &[("a", 0.0)]).unwrap();
    let png = b"\x89PNG of a kind".to_vec();
    vec![
        Value::Scalar(0.1),
        Value::Scalar(f32::NEG_INFINITY),
        Value::Scalar(f32::NAN),
        Value::Image(Picture { rows: 300, cols: 28, channels: 3, png }),
        Value::Histogram(Histogram::new(&[-1.0, 0.0, 7.5, 7.5])),
        Value::Scalar(0.0),
    ]
}

/// What compares NaNs too.
fn shown(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}")
}

/// What TensorFlow's protocol buffers and TensorBoard's checksums make of the same two events.
#[test]
fn records_are_tensorflows() {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let event = |version: Option<&str>, step, summary| {
        let file_version = version.map(str::to_owned);
        hex(&frame(&proto::encode(&Event { wall_time: 1.5, step, file_version, summary })))
    };
    let version = [
        "1800000000000000 a37f4b22",        // 24 bytes, and the checksum of that
        "09 000000000000f83f",              // field 1, a double: 1.5
        "1a 0d 627261696e2e4576656e743a32", // field 3, 13 bytes: brain.Event:2
        "2a28646c",                         // the data's checksum
    ];
    assert_eq!(event(Some(VERSION), 0, Vec::new()), version.concat().replace(' ', ""));
    let scalar = [
        "1b00000000000000 1a0d9e13",
        "09 000000000000f83f",
        "10 ac02",        // field 2, an integer in base 128: 2 * 128 + 44
        "2a 0d 0a 0b",    // field 5, a summary: field 1, a value
        "0a 04 6c6f7373", // its field 1, 4 bytes: loss
        "15 0000803e",    // its field 2, a float: 0.25
        "9908deed",
    ];
    let summary = vec![Summary::new("loss", Value::Scalar(0.25))];
    assert_eq!(event(None, 300, summary), scalar.concat().replace(' ', ""));
}

#[test]
fn every_kind_comes_back() {
    let f = Folder::new("events");
    let path = f.0.join(EventLog::FILE_NAME);
    let want = one_of_each(&path);
    let events = read_events(&path).unwrap();
    assert_eq!(events.iter().map(|e| e.step).collect::<Vec<_>>(), [0, 1, 2, 2, 3]);
    assert!(events.windows(2).all(|w| w[0].wall_time <= w[1].wall_time) && events[0].wall_time > 1.6e9);
    let all: Vec<&Summary> = events.iter().flat_map(|e| &e.summary).collect();
    let tags: Vec<&str> = all.iter().map(|s| s.tag.as_str()).collect();
    assert_eq!(tags, ["a", "b/c", "d", "samples", "logits", "a"]);
    let values: Vec<&Value> = all.iter().map(|s| &s.value).collect();
    assert_eq!(shown(&values), shown(&want));
}

#[test]
fn a_torn_last_event_is_left_out_wherever_it_is_torn() {
    let f = Folder::new("events-torn");
    let path = f.0.join("e");
    one_of_each(&path);
    let whole = fs::read(&path).unwrap();
    let ends: Vec<usize> = records(&path, &whole).unwrap().iter().map(|r| r.offset + r.whole.len()).collect();
    assert_eq!((ends.len(), ends[4]), (5, whole.len()));
    let events = read_events(&path).unwrap();
    for cut in 0..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let count = ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(shown(&read_events(&path).unwrap()), shown(&events[..count].to_vec()), "cut at {cut}");
        EventLog::resume(&path, 9).unwrap().scalars(9, &[("a", 1.0)]).unwrap();
        let resumed = read_events(&path).unwrap();
        // A file without its first event is begun again.
        assert_eq!(resumed.len(), count.max(1) + 1, "cut at {cut}");
        assert_eq!(resumed.last().unwrap().step, 9);
    }
}

#[test]
fn a_damaged_byte_is_an_error_that_names_the_event() {
    let f = Folder::new("events-damaged");
    let path = f.0.join("e");
    one_of_each(&path);
    let whole = fs::read(&path).unwrap();
    let starts: Vec<usize> = records(&path, &whole).unwrap().iter().map(|r| r.offset).collect();
    for at in 0..whole.len() {
        let start = starts.iter().rfind(|&&start| start <= at).unwrap();
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            let text = parse(&path, &bytes).map(|e| e.len()).unwrap_err().to_string();
            assert!(text.contains(&format!("the event at byte {start} is damaged")), "{at}: {text}");
        }
    }
    fs::write(&path, [&whole[..40], b"x", &whole[41..]].concat()).unwrap();
    let text = EventLog::resume(&path, 9).unwrap_err().to_string();
    assert!(text.contains("events-damaged") && text.contains("move the file away"), "{text}");
    assert_eq!(fs::read(&path).unwrap().len(), whole.len(), "what is refused is left as it is");
}

/// Messages whose checksums are right and whose contents are not.
#[test]
fn a_wrong_message_in_a_right_frame_is_no_panic() {
    let f = Folder::new("events-message");
    let path = f.0.join("e");
    one_of_each(&path);
    let whole = fs::read(&path).unwrap();
    let all = records(&path, &whole).unwrap();
    let mut refused = 0;
    for record in &all {
        for at in 0..record.data.len() {
            for flip in 1..=255 {
                let mut data = record.data.to_vec();
                data[at] ^= flip;
                refused += usize::from(proto::decode(&data).is_err());
            }
            refused += usize::from(proto::decode(&record.data[..at]).is_err());
        }
    }
    assert!(refused > 1000, "{refused}");
    for (data, word) in [
        (&[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1][..], "no whole field"),
        (&[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "no whole field"),
        (&[0x0b], "no whole field"),
        (&[0x1a, 1, 0xff], "not UTF-8"),
        (b"\x2a\x07\x0a\x05\x2a\x03\x32\x01\x00", "no sequence of doubles"),
    ] {
        let bytes = [all[0].whole, &frame(data)].concat();
        let text = parse(&path, &bytes).map(|e| e.len()).unwrap_err().to_string();
        assert!(text.contains("at byte 40 ") && text.contains(word), "{text}");
    }
    let text = parse(&path, all[1].whole).map(|e| e.len()).unwrap_err().to_string();
    assert!(text.contains("it should give the version brain.Event:2, and gives none"), "{text}");
}

#[test]
fn a_resumed_file_has_no_step_twice() {
    let f = Folder::new("events-resume");
    let path = f.0.join("e");
    let steps = |log: &mut EventLog, steps: std::ops::RangeInclusive<u64>| {
        steps.for_each(|step| log.scalars(step, &[("loss", step as f64 / 7.0)]).unwrap());
    };
    for checkpoint in [0, 1, 8, 13, u64::MAX] {
        fs::remove_file(&path).ok();
        steps(&mut EventLog::resume(&path, 0).unwrap(), 1..=13);
        let before = fs::read(&path).unwrap();
        let mut log = EventLog::resume(&path, checkpoint).unwrap();
        let kept = fs::read(&path).unwrap();
        assert!(before.starts_with(&kept), "what is kept is kept as it is");
        let from = checkpoint.min(13) + 1;
        steps(&mut log, from..=20);
        let events = read_events(&path).unwrap();
        assert_eq!(events.iter().map(|e| e.step).collect::<Vec<_>>(), (0..=20).collect::<Vec<_>>());
        assert_eq!(events[20].summary, [Summary::new("loss", Value::Scalar(20.0 / 7.0))]);
    }
    assert!(read_events(f.0.join("none")).unwrap_err().to_string().contains("none"));
}
