//! Floats in serialised form: as their bits, since a number of JSON is no NaN, no infinity and not always `-0.0`.

use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(float: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(float.to_bits())
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    u64::deserialize(deserializer).map(f64::from_bits)
}
