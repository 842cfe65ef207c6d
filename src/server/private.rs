//! A directory of files that only this user of the system may read. Apart from the permissions it
//! is a plain directory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::data::{PRIVATE_DIRECTORY, PRIVATE_FILE};

/// Files with the permissions 0600 in directories with 0700, regardless of the umask.
#[derive(Debug)]
pub(super) struct Private(pub(super) LocalFileSystem);

impl std::fmt::Display for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Private {
    async fn close(&self, location: &Path) -> Result<()> {
        close(self.0.path_to_filesystem(location)?).await
    }
}

/// Closes a file and its directory to other users. The directory above is closed already.
async fn close(file: PathBuf) -> Result<()> {
    let set = async {
        if let Some(directory) = file.parent() {
            tokio::fs::set_permissions(directory, Permissions::from_mode(PRIVATE_DIRECTORY))
                .await?;
        }
        tokio::fs::set_permissions(&file, Permissions::from_mode(PRIVATE_FILE)).await
    };
    set.await.map_err(|source| object_store::Error::Generic {
        store: "LocalFileSystem",
        source: source.into(),
    })
}

#[async_trait]
impl ObjectStore for Private {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        let put = self.0.put_opts(location, payload, opts).await?;
        self.close(location).await.map(|()| put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let file = self.0.path_to_filesystem(location)?;
        let upload = self.0.put_multipart_opts(location, opts).await?;
        Ok(Box::new(PrivateUpload { upload, file }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await?;
        self.close(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await?;
        self.close(to).await
    }
}

#[derive(Debug)]
struct PrivateUpload {
    upload: Box<dyn MultipartUpload>,
    file: PathBuf,
}

#[async_trait]
impl MultipartUpload for PrivateUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        close(self.file.clone()).await.map(|()| put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn every_way_of_writing_closes_the_file_to_other_users() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Private(LocalFileSystem::new_with_prefix(directory.path()).expect("a store"));
        let path = Path::from;
        files.put(&path("one/a"), "x".into()).await.expect("put");
        let mut upload = files.put_multipart(&path("two/b")).await.expect("begun");
        upload.put_part("x".into()).await.expect("sent");
        upload.complete().await.expect("put");
        files
            .copy(&path("one/a"), &path("three/c"))
            .await
            .expect("copied");
        files
            .rename(&path("two/b"), &path("four/d"))
            .await
            .expect("renamed");
        for (name, mode) in [
            ("one", PRIVATE_DIRECTORY),
            ("one/a", PRIVATE_FILE),
            ("three/c", PRIVATE_FILE),
            ("four", PRIVATE_DIRECTORY),
            ("four/d", PRIVATE_FILE),
        ] {
            let about = std::fs::metadata(directory.path().join(name)).expect(name);
            assert_eq!(about.permissions().mode() & 0o777, mode, "{name}");
        }
        let bytes = files
            .get(&path("three/c"))
            .await
            .expect("there")
            .bytes()
            .await;
        assert_eq!(bytes.expect("read"), "x");
    }
}
