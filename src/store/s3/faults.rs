//! What a failed request means: try again, or say what to check.

use std::error::Error;
use std::sync::Arc;

use object_store::client::{HttpError, HttpErrorKind};

use super::answers::Refused;
use crate::store::StoreError;
use crate::store::error::{Cause, causes};
use crate::store::traffic::Fault;

/// What to do about a failure.
#[derive(Debug)]
pub enum Verdict {
    Again(Fault, Cause),
    Fail(StoreError),
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// For messages: "read x" or "list x".
    pub action: &'a str,
    /// The object, if one was asked for.
    pub object: Option<&'a Arc<str>>,
    pub bucket: &'a str,
    /// The store, for messages.
    pub store: &'a str,
}

impl Asked<'_> {
    /// Judges a request of the client library that failed.
    pub fn judge(&self, library: &object_store::Error) -> Verdict {
        let error: &(dyn Error + 'static) = library;
        if let Some(refused) = causes(error).find_map(|e| e.downcast_ref::<Refused>()) {
            return self.judge_refused(refused);
        }
        // Not all requests keep the whole answer.
        if let object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } = library
        {
            return self.judge_refused(&Refused { status: 403, code: None, text: None });
        }
        if let Some(tls) = causes(error).find_map(|e| e.downcast_ref::<rustls::Error>())
            && let Some(advice) = tls_advice(tls)
        {
            let (action, source) = (self.action.to_owned(), Cause::of(error));
            return Verdict::Fail(StoreError::Tls { action, advice, source });
        }
        match causes(error).find_map(|e| e.downcast_ref::<HttpError>()) {
            Some(http) => Verdict::Again(transport(http.kind()), Cause::of(error)),
            // A listing that is no whole XML; but a key that the library cannot take stays so.
            None if self.object.is_none()
                && !causes(error).any(|e| e.is::<object_store::path::Error>()) =>
            {
                Verdict::Again(Fault::Broken, Cause::of(error))
            }
            None => Verdict::Fail(StoreError::Answer {
                action: self.action.to_owned(),
                source: Cause::of(error),
            }),
        }
    }

    /// Credentials that could not be had.
    pub fn no_credentials(&self, error: &object_store::Error) -> StoreError {
        StoreError::Credentials {
            action: self.action.to_owned(),
            advice: "give S3_ACCESS_KEY and S3_SECRET, or check the role of the pod or host \
                     (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN)",
            source: Cause::of(error),
        }
    }

    fn judge_refused(&self, refused: &Refused) -> Verdict {
        let code = refused.code.as_deref();
        match (refused.status, code) {
            (503 | 429, _) | (_, Some("SlowDown" | "Throttling" | "TooManyRequests")) => {
                return Verdict::Again(Fault::SlowDown, Cause::text(refused.to_string()));
            }
            (500..=599, _) | (_, Some("InternalError")) => {
                return Verdict::Again(Fault::Server, Cause::text(refused.to_string()));
            }
            (408, _) | (_, Some("RequestTimeout")) => {
                return Verdict::Again(Fault::Timeout, Cause::text(refused.to_string()));
            }
            _ => {}
        }
        Verdict::Fail(match (refused.status, code, self.object) {
            (_, Some("NoSuchBucket"), _) | (404, _, None) => StoreError::NoSuchBucket {
                bucket: self.bucket.to_owned(),
                store: self.store.to_owned(),
            },
            (412, _, Some(path)) => StoreError::Changed { path: path.clone() },
            // It has become shorter than what was to be read of it.
            (416, _, Some(path)) => StoreError::Changed { path: path.clone() },
            (404, _, Some(path)) => StoreError::Vanished { path: path.clone() },
            (status, _, _) => StoreError::Refused {
                action: self.action.to_owned(),
                status,
                code: refused.code.clone(),
                advice: advice(status, code),
            },
        })
    }
}

fn advice(status: u16, code: Option<&str>) -> &'static str {
    match (status, code) {
        (_, Some("InvalidAccessKeyId" | "SignatureDoesNotMatch")) => {
            "check the keys (S3_ACCESS_KEY and S3_SECRET)"
        }
        (_, Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")) => {
            "the temporary keys have expired: get new ones"
        }
        (_, Some("RequestTimeTooSkewed")) => "set the clock of this host",
        (_, Some("AuthorizationHeaderMalformed" | "PermanentRedirect")) | (300..=399, _) => {
            "check the region (S3_REGION) and s3.endpoint"
        }
        (401 | 403, _) => {
            "check the keys (S3_ACCESS_KEY and S3_SECRET) and that they may list the bucket and \
             get its objects, or put and delete them where they are written"
        }
        _ => "check s3.endpoint, s3.addressing_style and --source",
    }
}

fn tls_advice(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Some("its certificate is not trusted; name the authorities with --s3-ca")
        }
        rustls::Error::InvalidMessage(_) => Some(
            "it does not speak TLS; if it is meant to be reached in the clear, write the endpoint \
             as http://… or set s3.use_ssl to false",
        ),
        rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => {
            Some("it refused the TLS handshake; check s3.endpoint")
        }
        _ => None,
    }
}

fn transport(kind: HttpErrorKind) -> Fault {
    match kind {
        HttpErrorKind::Timeout => Fault::Timeout,
        HttpErrorKind::Decode => Fault::Broken,
        _ => Fault::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, code: Option<&str>, object: bool) -> Verdict {
        let path: Arc<str> = "p".into();
        let asked = Asked {
            action: "read p",
            object: object.then_some(&path),
            bucket: "b",
            store: "http://s",
        };
        let code = code.map(str::to_owned);
        let refused = Refused { status, code, text: None };
        let http = HttpError::new(HttpErrorKind::Unknown, refused);
        asked.judge(&object_store::Error::Generic { store: "S3", source: Box::new(http) })
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for (status, code, fault) in [
            (500, None, Fault::Server),
            (502, None, Fault::Server),
            (504, Some("GatewayTimeout"), Fault::Server),
            (503, Some("SlowDown"), Fault::SlowDown),
            (429, None, Fault::SlowDown),
            (400, Some("RequestTimeout"), Fault::Timeout),
        ] {
            match verdict(status, code, true) {
                Verdict::Again(found, _) => assert_eq!(found, fault, "{status} {code:?}"),
                Verdict::Fail(error) => panic!("{status} {code:?}: {error}"),
            }
        }
    }

    #[test]
    fn what_stays_is_told_at_once() {
        for (status, code, object, message) in [
            (404, Some("NoSuchBucket"), true, "there is no bucket b at http://s: check --source"),
            (404, None, false, "there is no bucket b"),
            (404, Some("NoSuchKey"), true, "p was removed after it was listed"),
            (412, Some("PreconditionFailed"), true, "p was replaced while it was read"),
            (416, Some("InvalidRange"), true, "p was replaced while it was read"),
            (
                403,
                Some("SignatureDoesNotMatch"),
                true,
                "403 (SignatureDoesNotMatch); check the keys",
            ),
            (403, None, true, "cannot read p: the store answered 403; check the keys"),
            (403, Some("RequestTimeTooSkewed"), true, "set the clock"),
            (301, Some("PermanentRedirect"), true, "check the region"),
            (400, Some("ExpiredToken"), true, "get new ones"),
        ] {
            match verdict(status, code, object) {
                Verdict::Fail(error) => {
                    assert!(error.to_string().contains(message), "{status} {code:?}: {error}");
                }
                Verdict::Again(..) => panic!("{status} {code:?} must not be tried again"),
            }
        }
    }
}
