//! Writing bits in the order that Deflate has (RFC 1951, 3.1.1): the lowest of a byte first.

/// Some bits, the first of them the lowest; those above `count` are zero.
#[derive(Clone, Copy, Default)]
pub struct Bits {
    pub value: u64,
    pub count: u32,
}

impl Bits {
    pub fn new(value: usize, count: u32) -> Self {
        let value = value as u64;
        Self { value, count }
    }

    /// These and then those.
    pub fn then(self, next: Self) -> Self {
        Self {
            value: self.value | next.value << self.count,
            count: self.count + next.count,
        }
    }
}

#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// How many of `bytes` are written.
    whole: usize,
    /// Less than a byte between two calls.
    pending: Bits,
}

impl BitWriter {
    /// Makes room for so many bits: more must not be put before the next call.
    pub fn reserve(&mut self, bits: usize) {
        self.bytes
            .resize(self.whole + bits.div_ceil(8) + size_of::<u64>(), 0);
    }

    /// Appends 56 bits at most.
    #[inline]
    pub fn put(&mut self, bits: Bits) {
        let Bits { value, count } = self.pending.then(bits);
        self.bytes[self.whole..self.whole + 8].copy_from_slice(&value.to_le_bytes());
        self.whole += count as usize / 8;
        self.pending = Bits {
            value: value >> (count & !7),
            count: count & 7,
        };
    }

    /// Whether it ends on a whole byte.
    pub fn is_aligned(&self) -> bool {
        self.pending.count == 0
    }

    /// Fills the last byte up with zeros.
    pub fn align(&mut self) {
        let missing = self.pending.count.wrapping_neg() & 7;
        self.put(Bits::new(0, missing));
    }

    /// Appends bytes; aligned only.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.whole..self.whole + bytes.len()].copy_from_slice(bytes);
        self.whole += bytes.len();
    }

    /// All the whole bytes that were written; it begins anew.
    pub fn take(&mut self) -> Vec<u8> {
        self.bytes.truncate(self.whole);
        self.whole = 0;
        std::mem::take(&mut self.bytes)
    }
}
