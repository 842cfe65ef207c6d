//! The files that a job refers to: those whose GET addresses are in its input or its result. Only addresses that were signed here count, so
//! nobody makes a job refer to a file that he was never given.
//!
//! A file is deleted with its job once its address has expired. Until then another job may have been given the same address; and such a
//! file goes by its age.

use std::borrow::Cow;
use std::collections::BTreeMap;

use job::Time;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::Files;

/// Maximum number of addresses that are looked at in one text; files beyond it go by their age.
pub const ADDRESSES: usize = 1_000;
/// What stands before the key in every address.
const PLACE: &str = "/files/";

impl Files {
    /// The files whose GET addresses are in a text of JSON, and when the last address of each expires.
    fn mentioned(&self, text: &str) -> BTreeMap<Path, Time> {
        let mut found = BTreeMap::new();
        let text = unescaped(text);
        for (at, _) in text.match_indices(PLACE).take(ADDRESSES) {
            let rest = &text[at + PLACE.len()..];
            let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '<' | '>' | '#');
            let address = rest.find(ends).map_or(rest, |end| &rest[..end]);
            let Some((id, query)) = address.split_once('?') else {
                continue;
            };
            let Some((id, address)) = self.signed("GET", id, query) else {
                continue;
            };
            if let Ok(key) = Path::parse(&id) {
                let until = found
                    .entry(key)
                    .or_insert(Time::from_millis(address.expires_at));
                *until = (*until).max(Time::from_millis(address.expires_at));
            }
        }
        found
    }

    /// Deletes the files that a job referred to by these texts, as far as their addresses have expired. Returns how many files that
    /// concerned, those that were not there any more included: not every store says which.
    ///
    /// # Errors
    /// The store's own; what was deleted by then is gone.
    pub async fn delete_mentioned(&self, texts: &[&str], now: Time) -> object_store::Result<usize> {
        let mut count = 0;
        for (key, until) in texts.iter().flat_map(|text| self.mentioned(text)) {
            if until > now {
                continue;
            }
            match self.objects().delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => count += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}

/// The text with `/` and `&` for the ways in which JSON libraries escape them within an address.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\/") && !text.contains("\\u0026") {
        return text.into();
    }
    text.replace("\\/", "/").replace("\\u0026", "&").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStore;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;
    use crate::files::GET_LIFE_MILLIS;
    use crate::token::Signer;

    fn now() -> Time {
        Time::from_millis(1_000)
    }

    fn files_in(objects: Arc<dyn ObjectStore>) -> Files {
        Files::new(objects, Signer::new([1; 32]), "http://host/below")
    }

    fn files() -> Files {
        files_in(Arc::new(InMemory::new()))
    }

    #[test]
    fn a_file_is_found_by_an_address_of_ours_however_json_writes_it() {
        let files = files();
        let upload = files
            .upload("a b.png", Some("image/png"), 5, 9, now())
            .unwrap();
        let (url, key) = (&upload.get_url, Path::parse(&upload.id).unwrap());
        let expected = BTreeMap::from([(key, now().plus_millis(GET_LIFE_MILLIS))]);
        for text in [
            format!("{{\"image\":\"{url}\"}}"),
            format!("[[[\"see {url} and {url}\"]]]"),
            format!("\"{}\"", url.replace('/', "\\/")),
            format!("\"{}\"", url.replace('&', "\\u0026")),
            format!("\"<{url}>\""),
            format!("\"{url}#page=2\""),
            format!("{{\"a\":\"/files/x?y {url}\"}}"),
        ] {
            assert_eq!(files.mentioned(&text), expected, "{text}");
        }
        for text in [
            String::new(),
            "null".to_owned(),
            "\"/files/\"".to_owned(),
            format!("\"/files/{}\"", upload.id),
            // Who may write has not been given the file.
            format!("\"{}\"", upload.put_url),
            format!("\"{}\"", url.replace("signature=", "signature=x")),
            format!("\"{}\"", url.replace("/files/0", "/files/1")),
        ] {
            assert_eq!(files.mentioned(&text), BTreeMap::new(), "{text}");
        }
    }

    #[test]
    fn a_bounded_number_of_addresses_is_looked_at() {
        let files = files();
        let upload = files.upload("a", None, 5, 9, now()).unwrap();
        let text = |before: usize| format!("{}{}", "/files/ ".repeat(before), upload.get_url);
        assert_eq!(files.mentioned(&text(ADDRESSES - 1)).len(), 1);
        assert_eq!(files.mentioned(&text(ADDRESSES)).len(), 0);
    }

    #[tokio::test]
    async fn only_files_whose_addresses_have_expired_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(local)];
        for objects in stores {
            let files = files_in(objects);
            let upload = |name: &str, unique: u128| {
                let upload = files.upload(name, None, 1, unique, now()).unwrap();
                (Path::parse(&upload.id).unwrap(), upload.get_url)
            };
            let (gone, kept, absent) = (upload("gone", 1), upload("kept", 2), upload("absent", 3));
            for (key, _) in [&gone, &kept] {
                files.objects().put(key, "x".into()).await.unwrap();
            }
            let (input, result) = (format!("\"{}\"", gone.1), format!("\"{}\"", absent.1));
            let over = now().plus_millis(GET_LIFE_MILLIS);
            let before = over.plus_millis(-1);
            let texts = [input.as_str(), result.as_str()];
            assert_eq!(files.delete_mentioned(&texts, before).await.unwrap(), 0);
            assert!(files.objects().head(&gone.0).await.is_ok());
            assert_eq!(files.delete_mentioned(&texts, over).await.unwrap(), 2);
            assert!(files.objects().head(&gone.0).await.is_err());
            assert!(files.objects().head(&kept.0).await.is_ok());
            // Once more: nothing is there, and nothing is wrong.
            assert_eq!(files.delete_mentioned(&texts, over).await.unwrap(), 2);
        }
    }
}
