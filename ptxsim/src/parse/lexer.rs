//! Cuts PTX text into words, numbers and punctuation.

use super::ast::{Operand, PtxError};

#[derive(Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
    pub line: u32,
}

fn word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'%')
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Lexer { text, at: 0, line: 1 }
    }

    pub fn error<T>(&self, what: impl Into<String>) -> Result<T, PtxError> {
        Err(PtxError { line: self.line, what: what.into() })
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips blanks and comments, and counts lines.
    fn skip(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'\n', _) => {
                    self.line += 1;
                    self.at += 1;
                }
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'/', b'/') => {
                    let rest = &self.text.as_bytes()[self.at..];
                    self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                }
                (b'/', b'*') => {
                    let rest = &self.text[self.at..];
                    let len = rest.find("*/").map_or(rest.len(), |n| n + 2);
                    self.line += rest.as_bytes()[..len].iter().filter(|&&b| b == b'\n').count() as u32;
                    self.at += len;
                }
                _ => return,
            }
        }
    }

    /// The next byte that is no blank; 0 at the end.
    pub fn peek(&mut self) -> u8 {
        self.skip();
        self.byte(0)
    }

    pub fn at_end(&mut self) -> bool {
        self.skip();
        self.at >= self.text.len()
    }

    /// Takes `b` if it comes next.
    pub fn eat(&mut self, b: u8) -> bool {
        let found = self.peek() == b && !self.at_end();
        if found {
            self.at += 1;
        }
        found
    }

    pub fn expect(&mut self, b: u8) -> Result<(), PtxError> {
        if self.eat(b) {
            return Ok(());
        }
        let found = self.around();
        self.error(format!("expected '{}' before {found}", b as char))
    }

    /// What comes next, for a message.
    pub fn around(&mut self) -> String {
        if self.at_end() {
            return "the end of the text".into();
        }
        let rest: String = self.text[self.at..].chars().take_while(|c| *c != '\n').take(24).collect();
        format!("`{}`", rest.trim_end())
    }

    fn take_while(&mut self, more: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text.as_bytes()[self.at..];
        // Every byte taken is ASCII, so the cut falls between characters.
        let len = rest.iter().position(|&b| !more(b) || !b.is_ascii()).unwrap_or(rest.len());
        let word = &self.text[self.at..self.at + len];
        self.at += len;
        word
    }

    /// A name; one that begins with `%` may hold dots (`%tid.x`).
    pub fn word(&mut self) -> Result<&'a str, PtxError> {
        let special = self.peek() == b'%';
        let word = self.take_while(|b| word_byte(b) || (special && b == b'.'));
        if word.is_empty() {
            let found = self.around();
            return self.error(format!("expected a name before {found}"));
        }
        Ok(word)
    }

    /// An opcode or directive with all its dots (`ld.global.f32`, `.reg`).
    pub fn dotted(&mut self) -> Result<&'a str, PtxError> {
        self.skip();
        let from = self.at;
        if self.take_while(|b| word_byte(b) || b == b'.').is_empty() {
            let found = self.around();
            return self.error(format!("expected an instruction or directive before {found}"));
        }
        // `.level::cache_hint` and its kind: two colons inside an opcode belong to it.
        while self.byte(0) == b':' && self.byte(1) == b':' {
            self.at += 2;
            self.take_while(|b| word_byte(b) || b == b'.');
        }
        Ok(&self.text[from..self.at])
    }

    pub fn string(&mut self) -> Result<&'a str, PtxError> {
        self.expect(b'"')?;
        let rest = &self.text[self.at..];
        let Some(len) = rest.find('"') else { return self.error("a string that does not end") };
        self.line += rest.as_bytes()[..len].iter().filter(|&&b| b == b'\n').count() as u32;
        self.at += len + 1;
        Ok(&rest[..len])
    }

    /// Whether a number comes next.
    pub fn number_next(&mut self) -> bool {
        let b = self.peek();
        b.is_ascii_digit() || (matches!(b, b'-' | b'+') && self.byte(1).is_ascii_digit())
    }

    /// An integer (decimal, hex, octal, binary) or a floating-point constant.
    pub fn number(&mut self) -> Result<Operand<'a>, PtxError> {
        let negative = self.eat(b'-');
        if !negative {
            self.eat(b'+');
        }
        self.skip();
        let word = self.take_while(|b| b.is_ascii_alphanumeric() || b == b'.');
        let float = |digits: &str, len: usize| {
            (digits.len() == len).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        let bytes = word.as_bytes();
        let value = match (bytes.first(), bytes.get(1)) {
            (Some(b'0'), Some(b'f' | b'F')) => {
                let bits = float(&word[2..], 8);
                return match bits {
                    Some(bits) => Ok(Operand::F32(bits as u32 ^ (u32::from(negative) << 31))),
                    None => self.error(format!("`{word}` is no single-precision constant")),
                };
            }
            (Some(b'0'), Some(b'd' | b'D')) => {
                let bits = float(&word[2..], 16);
                return match bits {
                    Some(bits) => Ok(Operand::F64(bits ^ (u64::from(negative) << 63))),
                    None => self.error(format!("`{word}` is no double-precision constant")),
                };
            }
            (Some(b'0'), Some(b'x' | b'X')) => {
                u64::from_str_radix(word[2..].trim_end_matches(['U', 'u']), 16).ok()
            }
            (Some(b'0'), Some(b'b' | b'B')) => {
                u64::from_str_radix(word[2..].trim_end_matches(['U', 'u']), 2).ok()
            }
            _ if word.contains('.') => {
                return match word.parse::<f64>() {
                    Ok(v) => Ok(Operand::F64((if negative { -v } else { v }).to_bits())),
                    Err(_) => self.error(format!("`{word}` is no number")),
                };
            }
            (Some(b'0'), Some(_)) => u64::from_str_radix(word.trim_end_matches(['U', 'u']), 8).ok(),
            _ => word.trim_end_matches(['U', 'u']).parse().ok(),
        };
        match value {
            Some(v) => Ok(Operand::Int(if negative { v.wrapping_neg() } else { v })),
            None => self.error(format!("`{word}` is no number of 64 bits")),
        }
    }

    pub fn int(&mut self) -> Result<u64, PtxError> {
        match self.number()? {
            Operand::Int(v) => Ok(v),
            _ => self.error("expected an integer"),
        }
    }

    /// Skips to the end of the line (directives that are read over).
    pub fn skip_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }

    /// Skips a block in braces, whose opening brace comes next.
    pub fn skip_braces(&mut self) -> Result<(), PtxError> {
        self.expect(b'{')?;
        let mut depth = 1;
        while depth > 0 {
            match self.peek() {
                0 if self.at_end() => return self.error("a block that does not end"),
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            // Bytes of a longer character are stepped over one by one; none of them is a brace.
            self.at += 1;
            while !self.text.is_char_boundary(self.at) {
                self.at += 1;
            }
        }
        Ok(())
    }
}
