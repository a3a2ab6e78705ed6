//! A real S3 server on a port of this machine, and a bucket on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions};
use rustls::ServerConfig;
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

pub const ACCESS: &str = "TESTACCESSKEY";
pub const SECRET: &str = "test/secret+key";
pub const BUCKET: &str = "usage";

/// A server with one bucket; it ends when it is dropped.
pub struct S3Server {
    pub address: SocketAddr,
    /// The authority that signed the server's certificate, if it speaks TLS.
    pub ca: Option<PathBuf>,
    folder: TempDir,
    runtime: Runtime,
}

impl S3Server {
    pub fn plain() -> Self {
        Self::start(false, None)
    }

    pub fn tls() -> Self {
        Self::start(true, None)
    }

    /// Takes the bucket from the name of the host, `bucket.domain`.
    pub fn virtual_hosts(domain: &str) -> Self {
        Self::start(false, Some(domain))
    }

    fn start(tls: bool, domain: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("s3");
        fs::create_dir_all(root.join(BUCKET)).unwrap();
        let (acceptor, ca) = if tls {
            let (acceptor, pem) = acceptor();
            let path = folder.path().join("ca.pem");
            fs::write(&path, pem).unwrap();
            (Some(acceptor), Some(path))
        } else {
            (None, None)
        };
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        if let Some(domain) = domain {
            service.set_host(SingleDomain::new(domain).unwrap());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, service.build(), acceptor));
        S3Server { address, ca, folder, runtime }
    }

    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// A client of the bucket, for tests to put objects with.
    pub fn client(&self) -> AmazonS3 {
        // Another test of this process may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(format!("http://localhost:{}", self.address.port()))
            .with_access_key_id(ACCESS)
            .with_secret_access_key(SECRET)
            .with_allow_http(true)
            .build()
            .unwrap()
    }

    /// Puts an object over the network, with user metadata.
    pub fn put(&self, key: &str, bytes: Vec<u8>, metadata: &[(&'static str, &str)]) {
        let mut attributes = Attributes::new();
        for (name, value) in metadata {
            attributes.insert(Attribute::Metadata((*name).into()), (*value).to_owned().into());
        }
        let options = PutOptions { attributes, ..PutOptions::default() };
        let (client, key) = (self.client(), Key::parse(key).unwrap());
        self.runtime.block_on(client.put_opts(&key, bytes.into(), options)).unwrap();
    }

    pub fn remove(&self, key: &str) {
        let (client, key) = (self.client(), Key::parse(key).unwrap());
        self.runtime.block_on(client.delete(&key)).unwrap();
    }

    /// The bytes of an object with its user metadata, as the network brings them.
    pub fn get(&self, key: &str) -> (Vec<u8>, BTreeMap<String, String>) {
        let (client, key) = (self.client(), Key::parse(key).unwrap());
        let got = self.runtime.block_on(client.get(&key)).unwrap();
        let metadata = got.attributes.iter().filter_map(|(attribute, value)| match attribute {
            Attribute::Metadata(name) => Some((name.to_string(), value.to_string())),
            _ => None,
        });
        let metadata = metadata.collect();
        (self.runtime.block_on(got.bytes()).unwrap().to_vec(), metadata)
    }

    /// The keys of all objects, in order.
    pub fn keys(&self) -> Vec<String> {
        let listed = self.client().list(None).map_ok(|object| object.location.to_string());
        let mut keys: Vec<String> = self.runtime.block_on(listed.try_collect()).unwrap();
        keys.sort();
        keys
    }

    /// Lays the files of a folder into the bucket below `prefix`, past the network.
    pub fn fill(&self, from: &Path, prefix: &str) {
        for (name, path) in super::files::below(from) {
            let to = self.folder.path().join("s3").join(BUCKET).join(prefix).join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(path, to).unwrap();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service, acceptor: Option<TlsAcceptor>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, acceptor) = (service.clone(), acceptor.clone());
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // A client that goes away ends its connection, not the server.
            match acceptor {
                Some(acceptor) => {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        let _ = server.serve_connection(TokioIo::new(socket), service).await;
                    }
                }
                None => {
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                }
            }
        });
    }
}

/// An authority's certificate in PEM, with no server that it signed.
pub fn other_authority() -> String {
    authority().0.pem()
}

fn authority() -> (rcgen::Certificate, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, rcgen::Issuer::new(params, key))
}

fn acceptor() -> (TlsAcceptor, String) {
    let (config, authority) = server_config();
    (TlsAcceptor::from(config), authority)
}

/// What a server on this machine needs to speak TLS, and the authority that signed its certificate.
pub fn server_config() -> (Arc<ServerConfig>, String) {
    let (certificate, issuer) = authority();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
    (Arc::new(config), certificate.pem())
}
