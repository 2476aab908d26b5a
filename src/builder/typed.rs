//! The name and the types of a task in one constant, which its worker and its nodes are made from.

use std::{fmt, marker::PhantomData};

use serde::{
    Serialize,
    de::{self, DeserializeOwned, Deserializer, Visitor},
    forward_to_deserialize_any,
};

use crate::{
    builder::Node,
    worker::{TaskContext, TaskError, Worker},
};

/// The name of a task definition with the types of its input and output.
///
/// Worker and workflow are made from the same constant, so that they agree: a handler with other types does not compile, and
/// [`WorkflowBuilder::build`](crate::WorkflowBuilder::build) refuses inputs that the input type has no field for and
/// references to outputs that the output type has no field for. An output type that is no struct is known as `result`.
/// Whether a value fits the type of its field is not checked, nor whether a field is left out: the task then fails for good.
/// Types with flattened fields, maps and enums are not checked.
///
/// The names are those that a type is **read** by. For an input these are the ones its worker goes by; an output, which its
/// worker writes, is known by the wrong ones where a field has two (`rename(serialize = "a", deserialize = "b")`, or one of
/// them alone): give such a field one name. Nor is it looked into fields: of `price.output("inner.cents")` only `inner` is
/// checked.
///
/// ```
/// use conductor_sync::{TypedTask, WorkflowBuilder, workflow_input};
/// use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Order { item: String, pieces: u32 }
/// #[derive(Serialize, Deserialize)]
/// struct Price { cents: u32 }
///
/// const PRICE: TypedTask<Order, Price> = TypedTask::new("price");
///
/// let worker = PRICE.worker(|_, order| Ok(Price { cents: 30 * order.pieces }));
/// let price = PRICE.node("price_ref").input("itme", workflow_input("item")).input("pieces", 3);
/// let error = WorkflowBuilder::new("shop").task(&price).output("cents", price.output("cent")).build().unwrap_err();
/// assert!(error.to_string().contains("`itme`") && error.to_string().contains("`cent`"));
/// ```
pub struct TypedTask<I, O> {
    name: &'static str,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> TypedTask<I, O> {
    /// The task definition `name`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The name of the task definition.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<I: DeserializeOwned, O: Serialize + DeserializeOwned> TypedTask<I, O> {
    /// The worker that runs these tasks: see [`Worker::new`].
    pub fn worker<F>(&self, handler: F) -> Worker
    where
        F: Fn(&TaskContext, I) -> Result<O, TaskError> + Send + Sync + 'static,
    {
        Worker::new(self.name, handler)
    }

    /// A task of a workflow, called `reference` there.
    pub fn node(&self, reference: impl Into<String>) -> Node {
        let outputs = match probe::<O>() {
            Shape::Struct(fields) => Some(fields.to_vec()),
            Shape::Plain => Some(vec!["result"]),
            Shape::Open => None,
        };
        let inputs = match probe::<I>() {
            Shape::Struct(fields) => Some(fields.to_vec()),
            Shape::Plain | Shape::Open => None,
        };
        Node::simple(self.name, reference).with_known_fields(inputs, outputs)
    }
}

impl<I, O> Clone for TypedTask<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for TypedTask<I, O> {}

impl<I, O> fmt::Debug for TypedTask<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedTask").field(&self.name).finish()
    }
}

/// What a type is in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// An object with these fields.
    Struct(&'static [&'static str]),
    /// No object, so that the worker wraps it.
    Plain,
    /// Not known.
    Open,
}

/// Asks a type what it is by letting it be decoded from nothing: its decoder tells first what it expects.
fn probe<T: DeserializeOwned>() -> Shape {
    let mut shape = Shape::Open;
    // It always fails: there is nothing to decode.
    drop(T::deserialize(Probe(&mut shape)));
    shape
}

struct Probe<'a>(&'a mut Shape);

/// The end of a probe, which is no failure.
#[derive(Debug)]
struct Seen;

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type has told what it is")
    }
}

impl std::error::Error for Seen {}

impl de::Error for Seen {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Types whose JSON is no object.
macro_rules! plain {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
            *self.0 = Shape::Plain;
            Err(Seen)
        })*
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Seen;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Seen> {
        Err(Seen)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Seen> {
        *self.0 = Shape::Struct(fields);
        Err(Seen)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Seen> {
        // The marker types of serde_json are not what they look like.
        if name.starts_with("$serde_json") { Err(Seen) } else { visitor.visit_newtype_struct(self) }
    }

    plain! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq
    }

    forward_to_deserialize_any! { option unit_struct tuple tuple_struct map enum identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its fields' names are asked for")]
    struct Order {
        item: String,
        #[serde(rename = "nPieces")]
        pieces: u32,
    }

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Wrapped(Order);

    #[test]
    fn a_type_tells_the_names_that_it_is_read_by() {
        #[derive(serde::Deserialize)]
        #[expect(dead_code, reason = "only its fields' names are asked for")]
        struct Both {
            #[serde(rename(deserialize = "read"))]
            field: u8,
        }
        assert_eq!(probe::<Both>(), Shape::Struct(&["read"]));
    }

    #[test]
    fn a_type_tells_what_it_is_in_json() {
        assert_eq!(probe::<Order>(), Shape::Struct(&["item", "nPieces"]));
        assert_eq!(probe::<Wrapped>(), Shape::Struct(&["item", "nPieces"]));
        assert_eq!(probe::<String>(), Shape::Plain);
        assert_eq!(probe::<Vec<u8>>(), Shape::Plain);
        assert_eq!(probe::<BTreeMap<String, u8>>(), Shape::Open);
        assert_eq!(probe::<serde_json::Value>(), Shape::Open);
        assert_eq!(probe::<crate::RawJson>(), Shape::Open);
        assert_eq!(probe::<Option<u8>>(), Shape::Open);
    }
}
