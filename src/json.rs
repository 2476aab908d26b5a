//! JSON that is kept as it came. [`RawJson`] holds user data as text, so that nothing in it is lost or changed; the
//! [`wire!`] and [`wire_enum!`] macros write the wire structs of the resource files so that unknown fields, unknown enum
//! values and the difference between null, missing and empty survive a round trip. Files of them are read and written by
//! [`document`].

pub(crate) mod document;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, value::RawValue};

use crate::error::{Error, Result};

/// JSON text of any kind, kept as it was written.
///
/// Integers of any length, the order of keys and deep nesting stay as they are, which a [`serde_json::Value`] can't
/// promise (integers beyond 64 bits become floats there, and nesting stops at 127). Decode it into a type of your own
/// with [`RawJson::decode`], or look at the text with [`RawJson::get`]. Defaults to the empty object `{}`.
///
/// It can be deserialised by `serde_json` alone (as [`serde_json::value::RawValue`]).
///
/// ```
/// use conductor_sync::RawJson;
/// let json: RawJson = r#"{"n": 123456789012345678901234567890}"#.parse()?;
/// assert_eq!(json.get(), r#"{"n": 123456789012345678901234567890}"#);
/// assert_eq!(RawJson::from(serde_json::json!({"n": 1})).decode::<serde_json::Value>()?["n"], 1);
/// # Ok::<(), conductor_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct RawJson(Box<RawValue>);

/// A JSON object whose values are kept as they were written.
pub type JsonMap = BTreeMap<String, RawJson>;

impl RawJson {
    /// Writes `value` as JSON.
    ///
    /// # Errors
    /// When `value` can't be written as JSON, for instance a map whose keys are no strings.
    pub fn new(value: &impl Serialize) -> Result<Self> {
        serde_json::value::to_raw_value(value).map(Self).map_err(|e| Error::encode("value", e))
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Decodes the text into a type of your own.
    ///
    /// # Errors
    /// When the text is not what `T` expects; the error names the place.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.get()).map_err(|e| {
            let place = misfit::<T>(self.get()).unwrap_or_else(|| "JSON".to_owned());
            Error::decode(place, None, e, self.get())
        })
    }

    /// Decodes the text into a [`serde_json::Value`]; integers beyond 64 bits become floats.
    ///
    /// # Errors
    /// When the text is nested deeper than 127 levels or holds a number that no `f64` can hold.
    pub fn to_value(&self) -> Result<Value> {
        self.decode()
    }

    /// Whether the text is an object.
    pub fn is_object(&self) -> bool {
        self.get().starts_with('{')
    }

    /// Whether the text is `null`.
    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }
}

/// Where a text does not fit `T`: the path to the field, unless it is the whole text. It is decoded once more for this.
pub(crate) fn misfit<T: DeserializeOwned>(text: &str) -> Option<String> {
    let mut decoder = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut decoder).err()?;
    Some(error.path().to_string()).filter(|path| !matches!(path.as_str(), "." | "?"))
}

impl Default for RawJson {
    fn default() -> Self {
        Self::from(Value::Object(serde_json::Map::new()))
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl From<Value> for RawJson {
    #[expect(clippy::expect_used, reason = "a Value has string keys only and writes itself without failing")]
    fn from(value: Value) -> Self {
        Self(serde_json::value::to_raw_value(&value).expect("a Value is JSON"))
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(text: Box<RawValue>) -> Self {
        Self(text)
    }
}

impl From<&str> for RawJson {
    /// A JSON string with this text, not JSON parsed from it.
    fn from(text: &str) -> Self {
        Self::from(Value::from(text))
    }
}

impl From<String> for RawJson {
    /// A JSON string with this text, not JSON parsed from it.
    fn from(text: String) -> Self {
        Self::from(Value::from(text))
    }
}

/// Numbers and truth values.
macro_rules! from_plain {
    ($($plain:ty),*) => {
        $(impl From<$plain> for RawJson {
            fn from(value: $plain) -> Self {
                Self::from(Value::from(value))
            }
        })*
    };
}
from_plain!(bool, i32, i64, u32, u64, f64);

impl FromStr for RawJson {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        RawValue::from_string(text.trim().to_owned()).map(Self).map_err(|e| Error::decode("JSON", None, e, text))
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

/// What a known field looked like when it carried nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Blank {
    Null,
    Default,
}

/// What a wire struct carries besides its known fields.
///
/// Written by the decoder, read by the encoder: unknown fields as they came, and which known fields came as null or with
/// their default value instead of not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    unknown: JsonMap,
    blank: Vec<(&'static str, Blank)>,
}

impl Extra {
    pub(crate) fn unknown(&self) -> &JsonMap {
        &self.unknown
    }

    pub(crate) fn keep_unknown(&mut self, name: &str, value: RawJson) {
        self.unknown.insert(name.to_owned(), value);
    }

    pub(crate) fn keep_null(&mut self, name: &'static str) {
        self.blank.push((name, Blank::Null));
    }

    pub(crate) fn keep_default(&mut self, name: &'static str) {
        self.blank.push((name, Blank::Default));
    }

    /// `Some(true)` when the field came as null, `Some(false)` when it came with its default, `None` when it was missing.
    pub(crate) fn came_as_null(&self, name: &'static str) -> Option<bool> {
        self.blank.iter().rev().find(|(known, _)| *known == name).map(|(_, blank)| *blank == Blank::Null)
    }
}

impl PartialEq for Extra {
    /// Null, missing and default mean the same to the server in a known field, so only unknown fields count.
    fn eq(&self, other: &Self) -> bool {
        self.unknown == other.unknown
    }
}

/// A key of a JSON object, borrowed from the text where it holds no escapes.
#[derive(Deserialize)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Writes a struct of the wire with its decoder and encoder.
///
/// Each field has a wire name. A field with its default value is left out when writing, unless it came that way.
macro_rules! wire {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* $vis:vis $field:ident: $ty:ty = $wire:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$fmeta])* $vis $field: $ty,)*
            pub(crate) extra: $crate::json::Extra,
        }

        impl $name {
            /// Fields the server sent that this version of the crate has no name for; they are sent back unchanged.
            pub fn unknown_fields(&self) -> &$crate::json::JsonMap {
                self.extra.unknown()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $(
                    match self.extra.came_as_null($wire) {
                        _ if self.$field != <$ty>::default() => map.serialize_entry($wire, &self.$field)?,
                        Some(true) => map.serialize_entry($wire, &())?,
                        Some(false) => map.serialize_entry($wire, &self.$field)?,
                        None => {}
                    }
                )*
                for (name, value) in self.extra.unknown() {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a ", stringify!($name), " object"))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<$name, A::Error> {
                        let mut out = $name::default();
                        while let Some(key) = map.next_key::<$crate::json::Key<'de>>()? {
                            match &*key.0 {
                                $($wire => match $crate::json::field::<$ty, _>($wire, &mut map)? {
                                    None => out.extra.keep_null($wire),
                                    Some(value) if value == <$ty>::default() => out.extra.keep_default($wire),
                                    Some(value) => out.$field = value,
                                },)*
                                other => {
                                    let value = map.next_value()?;
                                    out.extra.keep_unknown(other, value);
                                }
                            }
                        }
                        Ok(out)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }

        impl $crate::json::Field for $name {}
    };
}
pub(crate) use wire;

/// What a field of a wire struct can hold.
pub(crate) trait Field: DeserializeOwned {
    /// Reads a value, `None` for null. Types that accept more than their own JSON form say so here.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Option::deserialize(deserializer)
    }
}

impl Field for bool {}
impl Field for String {}
impl Field for RawJson {}
impl<T: DeserializeOwned> Field for Box<T> {}
impl<T: DeserializeOwned> Field for Vec<T> {}
impl<T: DeserializeOwned> Field for BTreeMap<String, T> {}

impl<T: Field> Field for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        T::read(deserializer).map(|value| value.map(Some))
    }
}

impl Field for i64 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        deserializer.deserialize_any(Integer)
    }
}

impl Field for i32 {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let narrow = |n| Self::try_from(n).map_err(|_| de::Error::custom(format_args!("{n} is beyond 32 bits")));
        i64::read(deserializer)?.map(narrow).transpose()
    }
}

/// Reads `3`, `3.0` and `"3"` as 3, since servers and proxies in other languages write any of them; null as `None`.
struct Integer;

impl<'de> Visitor<'de> for Integer {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        i64::try_from(value).map(Some).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the range of i64, whose ends are powers of two"
    )]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        const END: f64 = 9_223_372_036_854_775_808.0;
        if value.fract() == 0.0 && (-END..END).contains(&value) {
            return Ok(Some(value as i64));
        }
        Err(E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(Some).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    /// How numbers come when a program turns on serde_json's `arbitrary_precision`.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let number = serde_json::Number::deserialize(MapAccessDeserializer::new(map))?;
        match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            (None, Some(float)) => self.visit_f64(float),
            (None, None) => Err(de::Error::custom(format_args!("{number} is beyond 64 bits"))),
        }
    }
}

/// The value of the field `name`, which an error is made to name.
pub(crate) fn field<'de, T: Field, A: MapAccess<'de>>(name: &'static str, map: &mut A) -> Result<Option<T>, A::Error> {
    struct Value<T>(Option<T>);
    impl<'de, T: Field> Deserialize<'de> for Value<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            T::read(deserializer).map(Self)
        }
    }
    map.next_value::<Value<T>>().map(|value| value.0).map_err(|e| de::Error::custom(format_args!("{name}: {e}")))
}

/// Writes an enum of the wire: known values by name, any other text kept in `Other`.
macro_rules! wire_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $wire:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
            /// A value this version of the crate has no name for, as the server wrote it.
            Other(String),
        }

        impl $name {
            /// The value as it is written on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl $name {
            /// What is wrong with it as the parameter `name` of a call, if anything: there is no such value. A value of a
            /// later server is kept where it came from one, but here it is far more often a slip.
            #[allow(dead_code, reason = "not every enum of the wire is a parameter of a call")]
            pub(crate) fn problem(&self, name: &str) -> Option<String> {
                const KNOWN: &[&str] = &[$($wire,)*];
                match self {
                    Self::Other(text) if text.is_empty() => Some(format!("{name} must not be empty")),
                    Self::Other(text) => Some(format!(
                        "{name} is `{}`, which this version of the crate does not know: it must be one of {}",
                        $crate::error::excerpt(text),
                        KNOWN.join(", "),
                    )),
                    _ => None,
                }
            }
        }

        impl Default for $name {
            /// The empty text, which no server sends: the value was missing.
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($wire => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                $crate::json::Key::deserialize(deserializer).map(|text| Self::from(&*text.0))
            }
        }

        impl $crate::json::Field for $name {}
    };
}
pub(crate) use wire_enum;

/// A time of the server's, milliseconds since 1970; 0 stands for none.
pub(crate) fn epoch_time(millis: impl Into<Option<i64>>) -> Option<SystemTime> {
    let millis = u64::try_from(millis.into()?).ok().filter(|millis| *millis > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A length of time of the wire, which is never negative.
pub(crate) fn length(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Methods that give times of the wire, which are numbers there, as times.
macro_rules! times {
    ($type:ident { $($(#[$doc:meta])+ $method:ident = $field:ident;)+ }) => {
        impl $type {
            $(
                $(#[$doc])+
                pub fn $method(&self) -> Option<std::time::SystemTime> {
                    crate::json::epoch_time(self.$field)
                }
            )+
        }
    };
}
pub(crate) use times;

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, dead_code, reason = "the macros write public items")]

    use super::*;

    wire_enum! {
        /// Test enum.
        pub enum Colour { Red = "RED", }
    }

    wire! {
        /// Test struct.
        pub struct Thing {
            /// Name.
            pub name: String = "name",
            /// Count.
            pub count: Option<i32> = "count",
            /// List.
            pub list: Vec<String> = "list",
            /// Colour.
            pub colour: Option<Colour> = "colour",
            /// Data.
            pub data: RawJson = "data",
        }
    }

    #[track_caller]
    fn round_trip(text: &str) {
        let thing: Thing = serde_json::from_str(text).unwrap();
        let there: Value = serde_json::from_str(text).unwrap();
        let back: Value = serde_json::to_value(&thing).unwrap();
        assert_eq!(back, there);
    }

    #[test]
    fn null_missing_and_empty_are_told_apart_in_a_round_trip() {
        round_trip(r#"{"name":"a"}"#);
        round_trip(r#"{"name":"a","count":null,"list":null}"#);
        round_trip(r#"{"name":"","count":0,"list":[],"data":{}}"#);
        round_trip(r#"{"name":"a","count":3,"list":["x"],"colour":"RED"}"#);
    }

    #[test]
    fn unknown_fields_and_enum_values_survive_a_round_trip() {
        round_trip(r#"{"name":"a","colour":"MAUVE","later":{"n":[1,null]}}"#);
    }

    #[test]
    fn integers_beyond_64_bits_survive_in_raw_json() {
        let text = r#"{"data":{"n":123456789012345678901234567890123456789012345678901234567890}}"#;
        let thing: Thing = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&thing).unwrap(), text);
    }

    #[test]
    fn an_integer_may_come_as_a_float_or_a_string() {
        for count in ["3", "3.0", "3e0", r#""3""#] {
            let thing: Thing = serde_json::from_str(&format!(r#"{{"count":{count}}}"#)).unwrap();
            assert_eq!(thing.count, Some(3), "{count}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_named() {
        for count in [r#""many""#, r#""""#, "1.5", "1e300", "4294967296", "18446744073709551615", "true", "[3]", "{}"] {
            let error = serde_json::from_str::<Thing>(&format!(r#"{{"count":{count}}}"#)).unwrap_err();
            assert!(error.to_string().starts_with("count: "), "{count}: {error}");
        }
    }

    #[test]
    fn times_of_the_server_are_times() {
        let second = UNIX_EPOCH.checked_add(Duration::from_millis(1500));
        assert_eq!((epoch_time(1500), epoch_time(Some(1500))), (second, second));
        assert_eq!((epoch_time(0), epoch_time(-5), epoch_time(None)), (None, None, None));
        assert_eq!((length(1500), length(-5)), (Duration::from_millis(1500), Duration::ZERO));
    }
}
