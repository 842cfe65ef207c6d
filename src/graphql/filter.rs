//! The filter inputs: AppSync's operators, typed. A field that is left out asks for nothing; an explicit null asks for "is null".

use async_graphql::{InputObject, MaybeUndefined};
use job::filter::Condition;
use job::{Filter, JobId, Time};
use resolvers::Error;

use super::object::JobStatus;
use super::scalar::AwsDateTime;

/// Which jobs: all conditions must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct JobFilter {
    /// By id.
    id: Option<IdFilter>,
    /// By the caller who submitted.
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
    /// By the time of the end; null while the job is open.
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
            in_: Option<Vec<$value>>,
            /// None of these.
            not_in: Option<Vec<$value>>,
            /// Less than.
            lt: Option<$value>,
            /// Less than or equal to.
            le: Option<$value>,
            /// Greater than.
            gt: Option<$value>,
            /// Greater than or equal to.
            ge: Option<$value>,
            /// From the first to the second value, both included.
            between: Option<Vec<$value>>,
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
                let mut conditions = Vec::new();
                conditions.extend(one(self.eq)?.map(Condition::Eq));
                conditions.extend(one(self.ne)?.map(Condition::Ne));
                conditions.extend(self.in_.map(all).transpose()?.map(Condition::In));
                conditions.extend(self.not_in.map(all).transpose()?.map(Condition::NotIn));
                conditions.extend(self.lt.map(&read).transpose()?.map(Condition::Lt));
                conditions.extend(self.le.map(&read).transpose()?.map(Condition::Le));
                conditions.extend(self.gt.map(&read).transpose()?.map(Condition::Gt));
                conditions.extend(self.ge.map(&read).transpose()?.map(Condition::Ge));
                conditions.extend(self.between.map(all).transpose()?.map(|pair| between(field, pair)).transpose()?);
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
    /// Equal to.
    eq: Option<JobStatus>,
    /// Not equal to.
    ne: Option<JobStatus>,
    /// One of these.
    #[graphql(name = "in")]
    in_: Option<Vec<JobStatus>>,
    /// None of these.
    not_in: Option<Vec<JobStatus>>,
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
    in_: Option<Vec<String>>,
    /// None of these.
    not_in: Option<Vec<String>>,
    /// Less than, byte by byte.
    lt: Option<String>,
    /// Less than or equal to.
    le: Option<String>,
    /// Greater than.
    gt: Option<String>,
    /// Greater than or equal to.
    ge: Option<String>,
    /// From the first to the second value, both included.
    between: Option<Vec<String>>,
    /// Holds this text.
    contains: Option<String>,
    /// Does not hold this text.
    not_contains: Option<String>,
    /// Begins with this text.
    begins_with: Option<String>,
    /// Holds one of these texts.
    contains_any: Option<Vec<String>>,
}

/// Conditions on the list of tags.
#[derive(Clone, Debug, Default, InputObject)]
pub struct TagsFilter {
    /// Null: there are no tags. A value: it is among the tags.
    eq: MaybeUndefined<String>,
    /// Null: there are tags. A value: it is not among the tags.
    ne: MaybeUndefined<String>,
    /// This tag is among them.
    contains: Option<String>,
    /// This tag is not among them.
    not_contains: Option<String>,
    /// One of these tags is among them.
    contains_any: Option<Vec<String>>,
    /// One of the tags begins with this text.
    begins_with: Option<String>,
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
        let mut conditions = Vec::new();
        equality(&mut conditions, self.eq, self.ne);
        conditions.extend(self.in_.map(Condition::In));
        conditions.extend(self.not_in.map(Condition::NotIn));
        conditions.extend(self.lt.map(Condition::Lt));
        conditions.extend(self.le.map(Condition::Le));
        conditions.extend(self.gt.map(Condition::Gt));
        conditions.extend(self.ge.map(Condition::Ge));
        conditions.extend(self.between.map(|pair| between(field, pair)).transpose()?);
        conditions.extend(self.contains.map(Condition::Contains));
        conditions.extend(self.not_contains.map(Condition::NotContains));
        conditions.extend(self.begins_with.map(Condition::BeginsWith));
        conditions.extend(self.contains_any.map(Condition::ContainsAny));
        Ok(conditions)
    }
}

impl TagsFilter {
    fn conditions(self) -> Vec<Condition<String>> {
        let mut conditions = Vec::new();
        equality(&mut conditions, self.eq, self.ne);
        conditions.extend(self.contains.map(Condition::Contains));
        conditions.extend(self.not_contains.map(Condition::NotContains));
        conditions.extend(self.contains_any.map(Condition::ContainsAny));
        conditions.extend(self.begins_with.map(Condition::BeginsWith));
        conditions
    }
}

impl JobStatusFilter {
    fn conditions(self) -> Vec<Condition<job::Status>> {
        let all = |values: Vec<JobStatus>| values.into_iter().map(Into::into).collect();
        let mut conditions = Vec::new();
        conditions.extend(self.eq.map(|value| Condition::Eq(Some(value.into()))));
        conditions.extend(self.ne.map(|value| Condition::Ne(Some(value.into()))));
        conditions.extend(self.in_.map(|values| Condition::In(all(values))));
        conditions.extend(self.not_in.map(|values| Condition::NotIn(all(values))));
        conditions
    }
}

impl JobFilter {
    /// The filter that it stands for.
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
        Ok(Filter {
            id: ids.transpose()?.unwrap_or_default(),
            owner: texts("filter.owner", self.owner)?,
            job_type: texts("filter.type", self.job_type)?,
            status: self
                .status
                .map(JobStatusFilter::conditions)
                .unwrap_or_default(),
            tags: self.tags.map(TagsFilter::conditions).unwrap_or_default(),
            progress: numbers("filter.progress", self.progress)?,
            attempt: numbers("filter.attempt", self.attempt)?,
            created_at: times("filter.createdAt", self.created_at)?,
            updated_at: times("filter.updatedAt", self.updated_at)?,
            finished_at: times("filter.finishedAt", self.finished_at)?,
        })
    }
}
