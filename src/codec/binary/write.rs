//! Writing: every field in its order, nothing else.
//!
//! Owns the bytes of numbers, texts, lists, maps, options and variants. Lists and maps are written
//! as one block without its size, as the library does: equal values give equal bytes.

use super::{Broken, FIXED_BYTES};
use serde::{Serialize, ser};

/// Appends the value's bytes.
pub fn append<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Broken> {
    value.serialize(&mut Writer { bytes })
}

struct Writer<'b> {
    bytes: &'b mut Vec<u8>,
}

impl Writer<'_> {
    fn long(&mut self, number: i64) {
        let mut zigzag = (number << 1 ^ number >> 63).cast_unsigned();
        while zigzag > 0x7f {
            self.bytes.push((zigzag & 0x7f) as u8 | 0x80);
            zigzag >>= 7;
        }
        self.bytes.push(zigzag as u8);
    }

    fn count(&mut self, count: usize) -> Result<(), Broken> {
        self.long(i64::try_from(count).map_err(|_| Broken)?);
        Ok(())
    }

    /// The head of a block; an empty list is its end alone.
    fn block(&mut self, count: Option<usize>) -> Result<(), Broken> {
        match count.ok_or(Broken)? {
            0 => Ok(()),
            count => self.count(count),
        }
    }
}

macro_rules! refused {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, _: $type) -> Result<(), Broken> {
            Err(Broken)
        })*
    };
}

impl ser::Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Broken;
    type SerializeSeq = Self;
    type SerializeTuple = ser::Impossible<(), Broken>;
    type SerializeTupleStruct = ser::Impossible<(), Broken>;
    type SerializeTupleVariant = ser::Impossible<(), Broken>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = ser::Impossible<(), Broken>;

    refused! {
        serialize_i8(i8) serialize_i16(i16) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32)
        serialize_u64(u64) serialize_f32(f32) serialize_f64(f64) serialize_char(char)
        serialize_unit_struct(&'static str)
    }

    fn serialize_bool(self, yes: bool) -> Result<(), Broken> {
        self.bytes.push(u8::from(yes));
        Ok(())
    }

    fn serialize_i32(self, number: i32) -> Result<(), Broken> {
        self.long(number.into());
        Ok(())
    }

    fn serialize_i64(self, number: i64) -> Result<(), Broken> {
        self.long(number);
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Broken> {
        self.count(text.len())?;
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, fixed: &[u8]) -> Result<(), Broken> {
        if fixed.len() != FIXED_BYTES {
            return Err(Broken);
        }
        self.bytes.extend_from_slice(fixed);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Broken> {
        self.bytes.push(0);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Broken> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Broken> {
        Err(Broken)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Broken> {
        self.long(index.into());
        Ok(())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Broken> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Broken> {
        self.long(index.into());
        value.serialize(self)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Self, Broken> {
        self.block(count)?;
        Ok(self)
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Self, Broken> {
        self.block(count)?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Broken> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Broken> {
        Err(Broken)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Broken> {
        Err(Broken)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Broken> {
        Err(Broken)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Broken> {
        Err(Broken)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeSeq for &mut Writer<'_> {
    type Ok = ();
    type Error = Broken;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Broken> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Broken> {
        self.bytes.push(0);
        Ok(())
    }
}

impl ser::SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Broken;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Broken> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Broken> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Broken> {
        self.bytes.push(0);
        Ok(())
    }
}

impl ser::SerializeStruct for &mut Writer<'_> {
    type Ok = ();
    type Error = Broken;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Broken> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Broken> {
        Ok(())
    }
}
