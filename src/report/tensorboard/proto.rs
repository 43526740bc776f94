//! The wire format of protocol buffers, as far as events need it: a message is a sequence of fields, each a key (number and
//! wire type) and a value. The numbers are those of TensorFlow's `event.proto`, `summary.proto` and `histogram.proto`.

use super::{Event, Histogram, Picture, Summary, Value};

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }

    fn integer(mut self, field: u64, v: u64) -> Message {
        self.varint(field << 3);
        self.varint(v);
        self
    }

    fn double(mut self, field: u64, v: f64) -> Message {
        self.varint(field << 3 | 1);
        self.0.extend(v.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, v: &[u8]) -> Message {
        self.varint(field << 3 | 2);
        self.varint(v.len() as u64);
        self.0.extend(v);
        self
    }

    fn doubles(self, field: u64, v: &[f64]) -> Message {
        let packed: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(field, &packed)
    }

    fn float(mut self, field: u64, v: f32) -> Message {
        self.varint(field << 3 | 5);
        self.0.extend(v.to_le_bytes());
        self
    }
}

pub(super) fn encode(event: &Event) -> Vec<u8> {
    let mut message = Message::default().double(1, event.wall_time);
    if let Some(version) = &event.file_version {
        return message.bytes(3, version.as_bytes()).0;
    }
    message = message.integer(2, event.step);
    let values = event.summary.iter().fold(Message::default(), |all, s| {
        let one = Message::default().bytes(1, s.tag.as_bytes());
        let one = match &s.value {
            Value::Scalar(v) => one.float(2, *v),
            Value::Image(picture) => one.bytes(4, &encode_picture(picture)),
            Value::Histogram(histogram) => one.bytes(5, &encode_histogram(histogram)),
            Value::Other => one,
        };
        all.bytes(1, &one.0)
    });
    message.bytes(5, &values.0).0
}

fn encode_picture(p: &Picture) -> Vec<u8> {
    let [rows, cols, channels] = [p.rows, p.cols, p.channels].map(|n| n as u64);
    // The colour spaces 1 to 4 are grey, grey with alpha, RGB and RGBA.
    Message::default().integer(1, rows).integer(2, cols).integer(3, channels).bytes(4, &p.png).0
}

fn encode_histogram(h: &Histogram) -> Vec<u8> {
    let message = Message::default().double(1, h.min).double(2, h.max).double(3, h.num);
    let message = message.double(4, h.sum).double(5, h.sum_squares);
    message.doubles(6, &h.bucket_limit).doubles(7, &h.bucket).0
}

/// A field's value by its wire type.
enum Field<'a> {
    Integer(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// What is wrong with a message.
type Problem = String;

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut v = 0;
    for i in 0..10 {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        v |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some(v);
        }
    }
    None
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*array)
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = take_varint(rest)?;
    let value = match key & 7 {
        0 => Field::Integer(take_varint(rest)?),
        1 => Field::Eight(take_array(rest)?),
        2 => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            let (bytes, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Field::Bytes(bytes)
        }
        5 => Field::Four(take_array(rest)?),
        _ => return None,
    };
    Some((key >> 3, value))
}

/// Hands each field of a message to `take`, which passes over those that it does not know.
fn each_field<'a>(
    what: &str,
    mut message: &'a [u8],
    mut take: impl FnMut(u64, Field<'a>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    while !message.is_empty() {
        let field =
            take_field(&mut message).ok_or_else(|| format!("no whole field is left in its {what}"))?;
        take(field.0, field.1)?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String, Problem> {
    String::from_utf8(bytes.to_vec()).map_err(|e| format!("a text in it is not UTF-8: {e}"))
}

pub(super) fn decode(message: &[u8]) -> Result<Event, Problem> {
    let mut event = Event { wall_time: 0.0, step: 0, file_version: None, summary: Vec::new() };
    each_field("event", message, |number, field| {
        match (number, field) {
            (1, Field::Eight(v)) => event.wall_time = f64::from_le_bytes(v),
            (2, Field::Integer(v)) => event.step = v,
            (3, Field::Bytes(v)) => event.file_version = Some(text(v)?),
            (5, Field::Bytes(v)) => each_field("summary", v, |number, field| {
                if let (1, Field::Bytes(v)) = (number, field) {
                    event.summary.push(decode_value(v)?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(event)
}

fn decode_value(message: &[u8]) -> Result<Summary, Problem> {
    let mut summary = Summary { tag: String::new(), value: Value::Other };
    each_field("value", message, |number, field| {
        match (number, field) {
            (1, Field::Bytes(v)) => summary.tag = text(v)?,
            (2, Field::Four(v)) => summary.value = Value::Scalar(f32::from_le_bytes(v)),
            (4, Field::Bytes(v)) => summary.value = Value::Image(decode_picture(v)?),
            (5, Field::Bytes(v)) => summary.value = Value::Histogram(decode_histogram(v)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(summary)
}

fn decode_picture(message: &[u8]) -> Result<Picture, Problem> {
    let mut picture = Picture { rows: 0, cols: 0, channels: 0, png: Vec::new() };
    let size = |v| usize::try_from(v).map_err(|_| format!("a picture's size is {v}"));
    each_field("picture", message, |number, field| {
        match (number, field) {
            (1, Field::Integer(v)) => picture.rows = size(v)?,
            (2, Field::Integer(v)) => picture.cols = size(v)?,
            (3, Field::Integer(v)) => picture.channels = size(v)?,
            (4, Field::Bytes(v)) => picture.png = v.to_vec(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(picture)
}

fn decode_histogram(message: &[u8]) -> Result<Histogram, Problem> {
    let mut h = Histogram::default();
    each_field("histogram", message, |number, field| {
        let list = if number == 6 { &mut h.bucket_limit } else { &mut h.bucket };
        match (number, field) {
            (1, Field::Eight(v)) => h.min = f64::from_le_bytes(v),
            (2, Field::Eight(v)) => h.max = f64::from_le_bytes(v),
            (3, Field::Eight(v)) => h.num = f64::from_le_bytes(v),
            (4, Field::Eight(v)) => h.sum = f64::from_le_bytes(v),
            (5, Field::Eight(v)) => h.sum_squares = f64::from_le_bytes(v),
            (6 | 7, Field::Bytes(v)) => {
                let (numbers, rest) = v.as_chunks();
                if !rest.is_empty() {
                    return Err(format!("{} bytes are no sequence of doubles", v.len()));
                }
                list.extend(numbers.iter().map(|&v| f64::from_le_bytes(v)));
            }
            // A repeated field need not be packed.
            (6 | 7, Field::Eight(v)) => list.push(f64::from_le_bytes(v)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(h)
}
