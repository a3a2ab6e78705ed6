//! Answers other than success, kept whole: the client library drops their codes.

use std::future::Future;
use std::pin::Pin;

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, Extensions};

/// An answer other than success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}{}", text.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
pub struct Refused {
    pub status: u16,
    /// The store's word for it, such as `NoSuchBucket`; an answer to HEAD has none.
    pub code: Option<String>,
    pub text: Option<String>,
}

/// Marks a request as one for the bucket, not for credentials.
#[derive(Debug, Clone, Copy)]
struct ForBucket;

/// The extensions that a request for the bucket carries.
pub fn for_bucket() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(ForBucket);
    extensions
}

/// Makes clients that turn such answers to marked requests into [`Refused`].
#[derive(Debug, Default)]
pub struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Watched(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Watched(HttpClient);

impl HttpService for Watched {
    // As the `async_trait` macro would write it.
    fn call<'a, 'f>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let for_bucket = request.extensions().get::<ForBucket>().is_some();
            let response = self.0.execute(request).await?;
            if !for_bucket || response.status().is_success() {
                return Ok(response);
            }
            let status = response.status().as_u16();
            // Half an answer still tells its status.
            let body = response.into_body().bytes().await.unwrap_or_default();
            Err(HttpError::new(HttpErrorKind::Unknown, refused(status, &body)))
        })
    }
}

fn refused(status: u16, body: &[u8]) -> Refused {
    let body = String::from_utf8_lossy(body);
    Refused { status, code: element(&body, "Code"), text: element(&body, "Message") }
}

/// The text of the first element `name`, short and on one line; `None` if there is none.
fn element(xml: &str, name: &str) -> Option<String> {
    const MOST: usize = 300;
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(MOST).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_body() {
        let body = b"<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code>\n\
                     <Message>not\nthere</Message></Error>";
        assert_eq!(
            refused(404, body),
            Refused {
                status: 404,
                code: Some("NoSuchBucket".to_owned()),
                text: Some("notthere".to_owned())
            }
        );
        for body in [&b""[..], b"<html>", b"<Code></Code>", b"<Code>open", b"\xff<Code>"] {
            assert_eq!(refused(500, body), Refused { status: 500, code: None, text: None });
        }
    }
}
