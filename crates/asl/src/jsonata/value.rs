//! Values of an expression: JSON that is borrowed from the state's data, and values that the
//! expression creates. It evaluates nothing.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Map, Value as Json};

use super::function::Function;
use super::number::Number;
use super::stack::level;
use super::wrong::{MEMORY, Outcome, Wrong};

/// Maximum number of items of one array. AWS evaluates `[1..873782]`, and refuses one item more.
pub(super) const MAX_ITEMS: usize = 873_782;
/// Maximum size of one text, in bytes: 8 for each of [`MAX_ITEMS`]. AWS creates a text of 2^22
/// characters, but not of 2^23.
pub(super) const MAX_BYTES: usize = MAX_ITEMS * 8;
/// Maximum depth of the arrays and objects that an expression creates, so that no walk exhausts the
/// stack.
pub(super) const MAX_DEPTH: u32 = json::MADE_DEPTH as u32;

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Undefined,
    Null,
    Bool(bool),
    /// May be infinite, or not a number at all.
    Number(Number),
    /// An integer of the data above the signed 64-bit range. It calculates as a double.
    Wide(u64),
    Str(&'a str),
    Text(Rc<str>),
    JsonArray(&'a [Json]),
    JsonObject(&'a Map<String, Json>),
    List(List<'a>),
    Object(Rc<Object<'a>>),
    Function(Rc<Function<'a>>),
    /// The values of a path with the names that its steps bind. It does not leave its path.
    Tuples(Tuples<'a>),
}

/// An array that the expression created.
#[derive(Debug, Clone)]
pub(super) struct List<'a> {
    items: Rc<Vec<Value<'a>>>,
    depth: u32,
    /// Whether it is the result of a path or a collecting function: a single item replaces it, and
    /// an empty one is undefined.
    pub(super) sequence: bool,
    /// Whether a single item stays in its array.
    pub(super) keep_singleton: bool,
    /// Whether a path does not flatten it.
    pub(super) cons: bool,
    /// Whether it wraps the context of the whole expression, which is an array.
    pub(super) outer: bool,
}

/// Names and values; `@` is the current value of the path.
pub(super) type Tuple<'a> = Vec<(&'a str, Value<'a>)>;

/// A path's values.
#[derive(Debug, Clone)]
pub(super) struct Tuples<'a> {
    pub(super) items: Rc<Vec<Rc<Tuple<'a>>>>,
    /// Whether the names are still known. A sort loses them, and gives plain objects.
    pub(super) known: bool,
}

/// An object that the expression created.
#[derive(Debug, Default)]
pub(super) struct Object<'a> {
    fields: Vec<(Rc<str>, Value<'a>)>,
    /// The index of each field, if there are more than [`FEW`].
    places: HashMap<Rc<str>, usize>,
    depth: u32,
}

/// Maximum number of fields that are searched without an index.
const FEW: usize = 12;

impl<'a> Object<'a> {
    fn place(&self, key: &str) -> Option<usize> {
        if self.fields.len() <= FEW {
            return self.fields.iter().position(|(name, _)| &**name == key);
        }
        self.places.get(key).copied()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.place(key).map(|at| &self.fields[at].1)
    }

    pub(super) fn set(&mut self, key: Rc<str>, value: Value<'a>) -> Outcome<()> {
        self.depth = self.depth.max(deeper(value.depth())?);
        if let Some(at) = self.place(&key) {
            self.fields[at].1 = value;
            return Ok(());
        }
        if self.fields.len() >= MAX_ITEMS {
            return Err(Wrong::bound(MEMORY));
        }
        self.fields.push((key, value));
        let all = self.fields.iter().enumerate();
        match self.fields.len() {
            0..=FEW => {}
            n if n == FEW + 1 => self.places = all.map(|(at, (k, _))| (Rc::clone(k), at)).collect(),
            n => {
                let key = Rc::clone(&self.fields[n - 1].0);
                self.places.insert(key, n - 1);
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Some(at) = self.place(key) {
            self.fields.remove(at);
            let all = self.fields.iter().enumerate();
            self.places = all.map(|(at, (k, _))| (Rc::clone(k), at)).collect();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Rc<str>, Value<'a>)> {
        self.fields.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }
}

/// The depth of a container of a value of this depth.
pub(super) fn deeper(depth: u32) -> Outcome<u32> {
    if depth >= MAX_DEPTH {
        return Err(Wrong::bound(MEMORY));
    }
    Ok(depth + 1)
}

/// The items of an array, borrowed or owned.
#[derive(Debug, Clone)]
pub(super) enum Items<'a> {
    Json(&'a [Json]),
    Own(Rc<Vec<Value<'a>>>),
}

impl<'a> Items<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Own(items) => items.len(),
        }
    }

    /// The item at an index; undefined outside the array.
    pub(super) fn get(&self, at: usize) -> Value<'a> {
        match self {
            Self::Json(items) => items.get(at).map_or(Value::Undefined, Value::from_json),
            Self::Own(items) => items.get(at).cloned().unwrap_or(Value::Undefined),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl<'a> Value<'a> {
    pub(super) fn from_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(n), _) => Self::Number(Number::Whole(n)),
                (None, Some(n)) => Self::Wide(n),
                (None, None) => Self::double(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Str(text),
            Json::Array(items) => Self::JsonArray(items),
            Json::Object(fields) => Self::JsonObject(fields),
        }
    }

    /// An owned value from JSON that does not outlive the call. Integers of more than 64 bits
    /// become doubles, as on AWS.
    pub(super) fn from_owned(json: Json) -> Outcome<Self> {
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => match n.as_i64() {
                Some(n) => Self::Number(Number::Whole(n)),
                None => Self::double(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text)?,
            Json::Array(items) => Self::array(
                items
                    .into_iter()
                    .map(|item| level(|| Self::from_owned(item)))
                    .collect::<Outcome<_>>()?,
            )?,
            Json::Object(fields) => {
                let mut object = Object::default();
                for (key, value) in fields {
                    object.set(key.into(), level(|| Self::from_owned(value))?)?;
                }
                Self::Object(Rc::new(object))
            }
        })
    }

    pub(super) fn double(n: f64) -> Self {
        Self::Number(Number::of(n))
    }

    pub(super) fn whole(n: usize) -> Self {
        Self::Number(Number::Whole(i64::try_from(n).unwrap_or(i64::MAX)))
    }

    pub(super) fn text(text: impl Into<Rc<str>>) -> Outcome<Self> {
        let text = text.into();
        if text.len() > MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
        Ok(Self::Text(text))
    }

    /// An array of a few existing values.
    pub(super) fn list(items: Vec<Self>) -> Self {
        let depth = items.iter().map(Self::depth).max().unwrap_or(0);
        Self::List(List {
            items: Rc::new(items),
            depth: depth + 1,
            sequence: false,
            keep_singleton: false,
            cons: false,
            outer: false,
        })
    }

    /// An array. Too many items are an error.
    pub(super) fn array(items: Vec<Self>) -> Outcome<Self> {
        let depth = items.iter().map(Self::depth).max().unwrap_or(0);
        if items.len() > MAX_ITEMS {
            return Err(Wrong::bound(MEMORY));
        }
        Ok(Self::List(List {
            items: Rc::new(items),
            depth: deeper(depth)?,
            sequence: false,
            keep_singleton: false,
            cons: false,
            outer: false,
        }))
    }

    /// An array that is replaced by its only item.
    pub(super) fn sequence(items: Vec<Self>) -> Outcome<Self> {
        let mut list = Self::array(items)?;
        if let Self::List(list) = &mut list {
            list.sequence = true;
        }
        Ok(list)
    }

    /// An array as the context of a whole expression.
    #[cfg(test)]
    pub(super) fn outer(array: Self) -> Outcome<Self> {
        let mut list = Self::sequence(vec![array])?;
        if let Self::List(list) = &mut list {
            list.outer = true;
        }
        Ok(list)
    }

    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::Function(function) => function.depth(),
            Self::List(list) => list.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// An array of the same items that is not replaced by its only item.
    pub(super) fn into_plain(self) -> Self {
        match self {
            Self::List(list) => Self::List(List {
                items: list.items,
                depth: list.depth,
                sequence: false,
                keep_singleton: false,
                cons: false,
                outer: false,
            }),
            other => other,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::JsonArray(_) | Self::List(_) | Self::Tuples(_))
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::JsonObject(_) | Self::Object(_))
    }

    pub(super) fn is_sequence(&self) -> bool {
        matches!(self, Self::List(list) if list.sequence)
    }

    pub(super) fn items(&self) -> Option<Items<'a>> {
        match self {
            Self::JsonArray(items) => Some(Items::Json(items)),
            Self::List(list) => Some(Items::Own(Rc::clone(&list.items))),
            Self::Tuples(tuples) => {
                let objects = tuples.items.iter().map(|tuple| tuple_object(tuple));
                Some(Items::Own(Rc::new(objects.collect())))
            }
            _ => None,
        }
    }

    /// The items of an array; any other value is the only item.
    pub(super) fn into_items(self) -> Items<'a> {
        match self.items() {
            Some(items) => items,
            None => Items::Own(Rc::new(vec![self])),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one. An infinite number is an error.
    pub(super) fn as_number(&self) -> Outcome<Option<Number>> {
        match self {
            Self::Number(n) if n.double().is_nan() => Ok(None),
            Self::Number(n) if n.double().is_infinite() => Err(Wrong::new("D1001").value("null")),
            Self::Number(n) => Ok(Some(*n)),
            Self::Wide(n) => Ok(Some(Number::Double(*n as f64))),
            _ => Ok(None),
        }
    }

    /// The number, even if it is infinite.
    pub(super) fn any_number(&self) -> Option<Number> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Wide(n) => Some(Number::Double(*n as f64)),
            _ => None,
        }
    }

    /// A field of an object.
    pub(super) fn field(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::JsonObject(fields) => fields.get(key).map(Value::from_json),
            Self::Object(object) => object.get(key).cloned(),
            _ => None,
        }
    }

    /// The fields of an object, in their order.
    pub(super) fn fields(&self) -> Vec<(Rc<str>, Value<'a>)> {
        match self {
            Self::JsonObject(fields) => fields
                .iter()
                .map(|(key, value)| (Rc::from(key.as_str()), Value::from_json(value)))
                .collect(),
            Self::Object(object) => object.fields.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether two values are identical: the same array or object, or equal scalars.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::JsonArray(a), Self::JsonArray(b)) => std::ptr::eq(*a, *b),
            (Self::JsonObject(a), Self::JsonObject(b)) => std::ptr::eq(*a, *b),
            (Self::List(a), Self::List(b)) => Rc::ptr_eq(&a.items, &b.items),
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b),
            (Self::Function(a), Self::Function(b)) => Rc::ptr_eq(a, b),
            _ => self.is_same_scalar(other),
        }
    }

    pub(super) fn is_same_scalar(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Wide(a), Self::Wide(b)) => a == b,
            _ => match (self.as_str(), other.as_str()) {
                (Some(a), Some(b)) => a == b,
                (None, None) => match (self.any_number(), other.any_number()) {
                    (Some(a), Some(b)) => a == b,
                    _ => false,
                },
                _ => false,
            },
        }
    }
}

/// The names and values of a path, as an object.
pub(super) fn tuple_object<'a>(tuple: &Tuple<'a>) -> Value<'a> {
    let fields = tuple
        .iter()
        .map(|(key, value)| (Rc::from(*key), value.clone()));
    Value::Object(Rc::new(Object {
        fields: fields.collect(),
        places: HashMap::new(),
        depth: tuple.iter().map(|(_, v)| v.depth()).max().unwrap_or(0) + 1,
    }))
}
