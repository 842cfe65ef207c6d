//! The filter inputs: AppSync's operators, typed. An operator that is left out asks for nothing. An
//! explicit null asks for "is null" with `eq`, for "is not null" with `ne`, and is refused with any
//! other: nothing is less than null, and no list is.

use async_graphql::{InputObject, MaybeUndefined};
use job::filter::Condition;
use job::{Filter, JobId, Time};
use resolvers::Error;

use crate::graphql::schema::object::JobStatus;
use crate::graphql::schema::scalar::AwsDateTime;

/// Selects jobs: all conditions must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct JobFilter {
    /// By id.
    id: Option<IdFilter>,
    /// By the owner who submitted it.
    owner: Option<StringFilter>,
    /// By job type.
    #[graphql(name = "type")]
    job_type: Option<StringFilter>,
    /// By status.
    status: Option<JobStatusFilter>,
    /// By the list of tags.
    tags: Option<TagsFilter>,
    /// By progress, percent.
    progress: Option<IntFilter>,
    /// By attempt.
    attempt: Option<IntFilter>,
    /// By the time of submission.
    created_at: Option<DateTimeFilter>,
    /// By the time of the last change.
    updated_at: Option<DateTimeFilter>,
    /// By the time at which it finished; null while the job is open.
    finished_at: Option<DateTimeFilter>,
}

/// A filter input with the operators of an ordered type.
macro_rules! filter {
    ($(#[$doc:meta])* $name:ident($graphql:literal), $value:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, InputObject)]
        #[graphql(name = $graphql)]
        pub struct $name {
            /// Equal to; null: is null.
            eq: MaybeUndefined<$value>,
            /// Not equal to; null: is not null.
            ne: MaybeUndefined<$value>,
            /// One of these.
            #[graphql(name = "in")]
            in_: MaybeUndefined<Vec<$value>>,
            /// None of these.
            not_in: MaybeUndefined<Vec<$value>>,
            /// Less than.
            lt: MaybeUndefined<$value>,
            /// Less than or equal to.
            le: MaybeUndefined<$value>,
            /// Greater than.
            gt: MaybeUndefined<$value>,
            /// Greater than or equal to.
            ge: MaybeUndefined<$value>,
            /// From the first to the second value, both included.
            between: MaybeUndefined<Vec<$value>>,
        }

        impl $name {
            fn conditions<T>(
                self,
                field: &'static str,
                read: impl Fn($value) -> Result<T, Error>,
            ) -> Result<Vec<Condition<T>>, Error> {
                let all = |values: Vec<$value>| values.into_iter().map(&read).collect::<Result<Vec<T>, Error>>();
                let one = |value: MaybeUndefined<$value>| match value {
                    MaybeUndefined::Undefined => Ok(None),
                    MaybeUndefined::Null => Ok(Some(None)),
                    MaybeUndefined::Value(value) => read(value).map(|value| Some(Some(value))),
                };
                let given = Operand { field };
                let mut conditions = Vec::new();
                conditions.extend(one(self.eq)?.map(Condition::Eq));
                conditions.extend(one(self.ne)?.map(Condition::Ne));
                conditions.extend(given.of("in", self.in_)?.map(all).transpose()?.map(Condition::In));
                conditions.extend(given.of("notIn", self.not_in)?.map(all).transpose()?.map(Condition::NotIn));
                conditions.extend(given.of("lt", self.lt)?.map(&read).transpose()?.map(Condition::Lt));
                conditions.extend(given.of("le", self.le)?.map(&read).transpose()?.map(Condition::Le));
                conditions.extend(given.of("gt", self.gt)?.map(&read).transpose()?.map(Condition::Gt));
                conditions.extend(given.of("ge", self.ge)?.map(&read).transpose()?.map(Condition::Ge));
                let pair = given.of("between", self.between)?.map(all).transpose()?;
                conditions.extend(pair.map(|pair| between(field, pair)).transpose()?);
                Ok(conditions)
            }
        }
    };
}

filter!(
    /// Conditions on an id.
    IdFilter("IDFilter"), async_graphql::ID
);
filter!(
    /// Conditions on a number.
    IntFilter("IntFilter"), i64
);
filter!(
    /// Conditions on a time.
    DateTimeFilter("DateTimeFilter"), AwsDateTime
);

/// Reads operators that compare with a value.
#[derive(Clone, Copy)]
struct Operand {
    /// The filtered field, for errors.
    field: &'static str,
}

impl Operand {
    fn of<T>(self, operator: &str, value: MaybeUndefined<T>) -> Result<Option<T>, Error> {
        match value {
            MaybeUndefined::Undefined => Ok(None),
            MaybeUndefined::Value(value) => Ok(Some(value)),
            MaybeUndefined::Null => Err(Error::BadInput {
                argument: self.field,
                reason: format!(
                    "{operator} must not be null: leave it out to ask for nothing, or ask for null with eq or ne"
                ),
            }),
        }
    }
}

fn between<T>(field: &'static str, pair: Vec<T>) -> Result<Condition<T>, Error> {
    let count = pair.len();
    let pair: [T; 2] = pair.try_into().map_err(|_| Error::BadInput {
        argument: field,
        reason: format!("between takes two values, the least and the greatest; here are {count}"),
    })?;
    let [least, most] = pair;
    Ok(Condition::Between(least, most))
}

/// Conditions on a status.
#[derive(Clone, Debug, Default, InputObject)]
pub struct JobStatusFilter {
    /// Equal to. (Null matches no job: a status is never null.)
    eq: MaybeUndefined<JobStatus>,
    /// Not equal to. (Null matches every job: a status is never null.)
    ne: MaybeUndefined<JobStatus>,
    /// One of these.
    #[graphql(name = "in")]
    in_: MaybeUndefined<Vec<JobStatus>>,
    /// None of these.
    not_in: MaybeUndefined<Vec<JobStatus>>,
}

/// Conditions on a text.
#[derive(Clone, Debug, Default, InputObject)]
pub struct StringFilter {
    /// Equal to; null: is null.
    eq: MaybeUndefined<String>,
    /// Not equal to; null: is not null.
    ne: MaybeUndefined<String>,
    /// One of these.
    #[graphql(name = "in")]
    in_: MaybeUndefined<Vec<String>>,
    /// None of these.
    not_in: MaybeUndefined<Vec<String>>,
    /// Less than, byte by byte.
    lt: MaybeUndefined<String>,
    /// Less than or equal to.
    le: MaybeUndefined<String>,
    /// Greater than.
    gt: MaybeUndefined<String>,
    /// Greater than or equal to.
    ge: MaybeUndefined<String>,
    /// From the first to the second value, both included.
    between: MaybeUndefined<Vec<String>>,
    /// Contains this text.
    contains: MaybeUndefined<String>,
    /// Does not contain this text.
    not_contains: MaybeUndefined<String>,
    /// Begins with this text.
    begins_with: MaybeUndefined<String>,
    /// Contains one of these texts.
    contains_any: MaybeUndefined<Vec<String>>,
}

/// Conditions on the list of tags.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TagsFilter {
    /// Null: the job has no tags. A value: the job has this tag.
    eq: MaybeUndefined<String>,
    /// Null: the job has tags. A value: the job does not have this tag.
    ne: MaybeUndefined<String>,
    /// The job has this tag.
    contains: MaybeUndefined<String>,
    /// The job does not have this tag.
    not_contains: MaybeUndefined<String>,
    /// The job has one of these tags.
    contains_any: MaybeUndefined<Vec<String>>,
    /// One of the tags begins with this text.
    begins_with: MaybeUndefined<String>,
}

fn equality<T>(conditions: &mut Vec<Condition<T>>, eq: MaybeUndefined<T>, ne: MaybeUndefined<T>) {
    match eq {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => conditions.push(Condition::Eq(None)),
        MaybeUndefined::Value(value) => conditions.push(Condition::Eq(Some(value))),
    }
    match ne {
        MaybeUndefined::Undefined => {}
        MaybeUndefined::Null => conditions.push(Condition::Ne(None)),
        MaybeUndefined::Value(value) => conditions.push(Condition::Ne(Some(value))),
    }
}

impl StringFilter {
    fn conditions(self, field: &'static str) -> Result<Vec<Condition<String>>, Error> {
        let given = Operand { field };
        let mut conditions = Vec::new();
        equality(&mut conditions, self.eq, self.ne);
        conditions.extend(given.of("in", self.in_)?.map(Condition::In));
        conditions.extend(given.of("notIn", self.not_in)?.map(Condition::NotIn));
        conditions.extend(given.of("lt", self.lt)?.map(Condition::Lt));
        conditions.extend(given.of("le", self.le)?.map(Condition::Le));
        conditions.extend(given.of("gt", self.gt)?.map(Condition::Gt));
        conditions.extend(given.of("ge", self.ge)?.map(Condition::Ge));
        let pair = given.of("between", self.between)?;
        conditions.extend(pair.map(|pair| between(field, pair)).transpose()?);
        conditions.extend(
            given
                .of("contains", self.contains)?
                .map(Condition::Contains),
        );
        let without = given.of("notContains", self.not_contains)?;
        conditions.extend(without.map(Condition::NotContains));
        let begins = given.of("beginsWith", self.begins_with)?;
        conditions.extend(begins.map(Condition::BeginsWith));
        let any = given.of("containsAny", self.contains_any)?;
        conditions.extend(any.map(Condition::ContainsAny));
        Ok(conditions)
    }
}

impl TagsFilter {
    fn conditions(self) -> Result<Vec<Condition<String>>, Error> {
        StringFilter::from(self).conditions("filter.tags")
    }
}

/// Tags have the operators of words, and no order.
impl From<TagsFilter> for StringFilter {
    fn from(tags: TagsFilter) -> Self {
        Self {
            eq: tags.eq,
            ne: tags.ne,
            contains: tags.contains,
            not_contains: tags.not_contains,
            begins_with: tags.begins_with,
            contains_any: tags.contains_any,
            ..Self::default()
        }
    }
}

impl JobStatusFilter {
    fn conditions(self) -> Result<Vec<Condition<job::Status>>, Error> {
        let given = Operand {
            field: "filter.status",
        };
        let all = |values: Vec<JobStatus>| values.into_iter().map(Into::into).collect();
        let mut conditions = Vec::new();
        let (eq, ne) = (self.eq.map_value(Into::into), self.ne.map_value(Into::into));
        equality(&mut conditions, eq, ne);
        let values = given.of("in", self.in_)?;
        conditions.extend(values.map(|values| Condition::In(all(values))));
        let values = given.of("notIn", self.not_in)?;
        conditions.extend(values.map(|values| Condition::NotIn(all(values))));
        Ok(conditions)
    }
}

impl JobFilter {
    /// The filter of the use cases.
    ///
    /// # Errors
    /// [`Error::BadInput`] and [`Error::InvalidId`] that name the field.
    pub fn into_filter(self) -> Result<Filter, Error> {
        let times = |field, filter: Option<DateTimeFilter>| {
            let conditions = filter.map(|filter| {
                filter.conditions(field, |time: AwsDateTime| Ok::<Time, Error>(time.0))
            });
            conditions.transpose().map(Option::unwrap_or_default)
        };
        let numbers = |field, filter: Option<IntFilter>| {
            let conditions = filter.map(|filter| filter.conditions(field, Ok));
            conditions.transpose().map(Option::unwrap_or_default)
        };
        let texts = |field, filter: Option<StringFilter>| {
            let conditions = filter.map(|filter| filter.conditions(field));
            conditions.transpose().map(Option::unwrap_or_default)
        };
        let ids = self
            .id
            .map(|filter| filter.conditions("filter.id", |id| Ok(id.parse::<JobId>()?)));
        let status = self.status.map(JobStatusFilter::conditions);
        let tags = self.tags.map(TagsFilter::conditions);
        Ok(Filter {
            id: ids.transpose()?.unwrap_or_default(),
            owner: texts("filter.owner", self.owner)?,
            job_type: texts("filter.type", self.job_type)?,
            status: status.transpose()?.unwrap_or_default(),
            tags: tags.transpose()?.unwrap_or_default(),
            progress: numbers("filter.progress", self.progress)?,
            attempt: numbers("filter.attempt", self.attempt)?,
            created_at: times("filter.createdAt", self.created_at)?,
            updated_at: times("filter.updatedAt", self.updated_at)?,
            finished_at: times("filter.finishedAt", self.finished_at)?,
        })
    }
}
