//! Credentials and their callers: each mode, several at once, and every claim on both sides of what
//! is valid.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use job::Time;
use parking_lot::Mutex;
use resolvers::token::Signer;
use resolvers::{Caller, Role};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::jwks::{FRESH_MILLIS, JWKS_BYTES, KEYS, READ_EVERY_MILLIS, STALE_MILLIS};
use super::oidc::{CLOCK_SKEW_MILLIS, PREFIX_BYTES, TOKEN_BYTES, keep_apart};
use super::refusal::Refusal;
use super::{ApiKey, AuthError, Authenticated, Authenticator, Credentials, Oidc, OidcConfig};

/// The time of the tests, in milliseconds; tokens state it in seconds.
const NOW: i64 = 1_500_000;

fn api_key(text: &str) -> ApiKey {
    ApiKey {
        sha256: Sha256::digest(text).into(),
        subject: "backend".into(),
        roles: vec![Role::Submitter],
    }
}

fn signer() -> Signer {
    Signer::new([3; 32])
}

async fn subject(
    auth: &Authenticator,
    authorization: Option<&str>,
    api_key: Option<&str>,
) -> Result<String, AuthError> {
    let credentials = Credentials {
        authorization,
        api_key,
    };
    let answer = auth.authenticate(credentials, Time::from_millis(NOW)).await;
    answer.map(|found| found.caller.subject)
}

/// A key pair of an identity provider.
struct Provider {
    id: String,
    pair: EcdsaKeyPair,
}

impl Provider {
    fn new(id: &str) -> Provider {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Provider {
            id: id.to_owned(),
            pair: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (
            URL_SAFE_NO_PAD.encode(&point[1..33]),
            URL_SAFE_NO_PAD.encode(&point[33..]),
        );
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": x, "y": y })
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": "ES256", "kid": self.id }), claims)
    }

    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap()))
    }
}

fn claims() -> Value {
    json!({ "iss": "https://id.example", "aud": "app", "sub": "ann", "exp": 2000, "cognito:groups": ["support"] })
}

/// The claims with one of them replaced or, with null, without it.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

fn config(jwks_url: &str) -> OidcConfig {
    serde_json::from_value(json!({
        "issuer": "https://id.example",
        "audience": ["app", "other-app"],
        "jwks_url": jwks_url,
        "everybody": ["viewer"],
        "groups": { "support": ["operator"], "users": ["submitter"] },
    }))
    .unwrap()
}

/// A provider with its keys in a file.
fn provided(keys: &[Value], change: impl FnOnce(&mut OidcConfig)) -> Authenticator {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "keys": keys }).to_string()).unwrap();
    let mut config = config("");
    (config.jwks_url, config.jwks_file) = (None, Some(file.path().to_owned()));
    change(&mut config);
    let issuer = Oidc::open(config, Time::from_millis(NOW)).unwrap();
    Authenticator::new(vec![], vec![issuer], signer())
}

async fn token_at(auth: &Authenticator, token: &str, now: i64) -> Result<Authenticated, AuthError> {
    let authorization = format!("Bearer {token}");
    let credentials = Credentials {
        authorization: Some(&authorization),
        api_key: None,
    };
    auth.authenticate(credentials, Time::from_millis(now)).await
}

async fn token(auth: &Authenticator, token: &str) -> Result<Authenticated, AuthError> {
    token_at(auth, token, NOW).await
}

#[tokio::test]
async fn api_keys_and_our_own_tokens_are_accepted() {
    let now = Time::from_millis(NOW);
    let job = job::JobId::new(now, 1);
    let own = signer().watch_token(job, Time::from_millis(NOW + 1));
    let (own, old) = (format!("bearer {own}"), signer().watch_token(job, now));
    let closed = Authenticator::new(vec![api_key("other"), api_key("secret")], vec![], signer());
    for (authorization, key, expected) in [
        (None, None, Err(AuthError::Missing)),
        (None, Some("wrong"), Err(AuthError::Invalid)),
        (None, Some(""), Err(AuthError::Invalid)),
        (Some("Bearer wrong"), None, Err(AuthError::Invalid)),
        (None, Some("secret"), Ok("backend".into())),
        (Some("Bearer secret"), None, Ok("backend".into())),
        (Some("secret"), None, Ok("backend".into())),
    ] {
        assert_eq!(subject(&closed, authorization, key).await, expected);
    }
    let open = Authenticator::new(vec![], vec![], signer());
    assert_eq!(subject(&open, None, None).await, Ok("dev".into()));
    assert_eq!(subject(&open, None, Some("any")).await, Ok("dev".into()));
    for auth in [&open, &closed] {
        // The token names no owner whose job it reads, as tokens of earlier versions.
        let watcher = Ok(format!("watch:{job}"));
        assert_eq!(subject(auth, Some(&own), None).await, watcher);
        assert_eq!(
            subject(auth, Some(&old), None).await,
            Err(AuthError::Expired)
        );
        let of_ann = signer().watch_token_of(job, "ann", Time::from_millis(NOW + 1));
        let of_ann = subject(auth, Some(&of_ann), None).await;
        assert_eq!(of_ann, Ok("ann".into()), "counted with the owner");
        let forged = subject(auth, Some("Bearer jc1.forged.x"), None).await;
        assert_eq!(forged, Err(AuthError::Invalid));
    }
}

#[tokio::test]
async fn several_modes_work_at_once() {
    let provider = Provider::new("1");
    let good = provider.sign(&claims());
    let Authenticator { issuers, .. } = provided(&[provider.jwk()], |_| {});
    let both = Authenticator::new(vec![api_key("secret")], issuers.clone(), signer());
    assert_eq!(subject(&both, Some(&good), None).await, Ok("ann".into()));
    assert_eq!(
        subject(&both, None, Some("secret")).await,
        Ok("backend".into())
    );
    assert_eq!(
        subject(&both, Some("secret"), None).await,
        Ok("backend".into())
    );
    // As in AppSync, a key is checked before a token, and after an invalid key the token is not
    // tried.
    assert_eq!(
        subject(&both, Some(&good), Some("wrong")).await,
        Err(AuthError::Invalid)
    );
    assert_eq!(subject(&both, None, None).await, Err(AuthError::Missing));
    // An identity provider alone keeps callers without credentials out.
    let only = Authenticator::new(vec![], issuers, signer());
    assert_eq!(subject(&only, None, None).await, Err(AuthError::Missing));
    assert_eq!(
        subject(&only, None, Some("any")).await,
        Err(AuthError::Invalid)
    );
    // Without the provider its tokens are invalid.
    let keys = Authenticator::new(vec![api_key("secret")], vec![], signer());
    assert_eq!(
        subject(&keys, Some(&good), None).await,
        Err(AuthError::Invalid)
    );
}

#[tokio::test]
async fn a_token_is_its_subjects_until_it_expires() {
    let provider = Provider::new("1");
    let auth = provided(&[provider.jwk()], |_| {});
    let found = token(&auth, &provider.sign(&claims())).await.unwrap();
    assert_eq!(
        found.caller,
        Caller::new("ann", &[Role::Viewer, Role::Operator])
    );
    assert_eq!(found.expires_at, Some(Time::from_millis(2_000_000)));
    let same = subject(&auth, Some(&provider.sign(&claims())), None).await;
    assert_eq!(same, Ok("ann".into()));
}

#[tokio::test]
async fn every_claim_is_checked_on_both_sides_of_its_bound() {
    let provider = Provider::new("1");
    let auth = provided(&[provider.jwk()], |_| {});
    let owner = |bytes| Value::from("a".repeat(bytes));
    let (skew, most) = (CLOCK_SKEW_MILLIS / 1000, job::limits::OWNER_BYTES);
    let mut access = with("aud", Value::Null);
    access["client_id"] = "app".into();
    let mut foreign = with("aud", json!("foreign"));
    foreign["client_id"] = "app".into();
    for (claims, expected) in [
        (claims(), Ok(())),
        (
            with("iss", json!("https://id.example/")),
            Err(AuthError::Invalid),
        ),
        (with("iss", Value::Null), Err(AuthError::Invalid)),
        (with("aud", json!("other-app")), Ok(())),
        (with("aud", json!(["foreign", "app"])), Ok(())),
        (with("aud", json!(["foreign"])), Err(AuthError::Invalid)),
        (with("aud", json!([])), Err(AuthError::Invalid)),
        (with("aud", Value::Null), Err(AuthError::Invalid)),
        // Cognito's access tokens have no audience; if a token has one, it decides.
        (access, Ok(())),
        (foreign, Err(AuthError::Invalid)),
        (with("exp", json!(1500.001)), Ok(())),
        (with("exp", json!(1500)), Err(AuthError::Expired)),
        (with("exp", json!("2000")), Err(AuthError::Invalid)),
        (with("exp", json!(1e300)), Ok(())),
        (with("exp", Value::Null), Err(AuthError::Invalid)),
        (with("nbf", json!(1500 + skew)), Ok(())),
        (with("nbf", json!(1501 + skew)), Err(AuthError::Invalid)),
        (with("nbf", json!("soon")), Err(AuthError::Invalid)),
        (with("sub", Value::Null), Err(AuthError::Invalid)),
        (with("sub", json!("")), Err(AuthError::Invalid)),
        (with("sub", json!(7)), Err(AuthError::Invalid)),
        (with("sub", owner(most)), Ok(())),
        (with("sub", owner(most + 1)), Err(AuthError::Invalid)),
    ] {
        let answer = token(&auth, &provider.sign(&claims)).await;
        assert_eq!(answer.map(|_| ()), expected, "{claims}");
    }
}

#[tokio::test]
async fn the_use_of_a_token_decides_which_claim_has_the_audience() {
    let provider = Provider::new("1");
    let auth = provided(&[provider.jwk()], |_| {});
    let (ours, foreign, none) = (json!("app"), json!("foreign"), Value::Null);
    for (used, aud, client_id, is_valid) in [
        (json!("id"), &ours, &none, true),
        (json!("id"), &ours, &foreign, true),
        (json!("id"), &foreign, &ours, false),
        (json!("id"), &none, &ours, false),
        (json!("access"), &none, &ours, true),
        // An access token for a resource server names it in `aud`.
        (json!("access"), &foreign, &ours, true),
        (json!("access"), &ours, &foreign, false),
        (json!("access"), &ours, &none, false),
        (json!("access"), &none, &json!(["app"]), false),
        (json!("refresh"), &ours, &ours, false),
        (json!("ID"), &ours, &ours, false),
        (json!(""), &ours, &ours, false),
        (json!(["id"]), &ours, &ours, false),
    ] {
        let mut claims = with("aud", aud.clone());
        claims["token_use"] = used;
        if !client_id.is_null() {
            claims["client_id"] = client_id.clone();
        }
        let answer = token(&auth, &provider.sign(&claims)).await;
        let expected = if is_valid {
            Ok(())
        } else {
            Err(AuthError::Invalid)
        };
        assert_eq!(answer.map(|_| ()), expected, "{claims}");
    }
}

#[tokio::test]
async fn roles_come_from_the_configured_groups_only() {
    let provider = Provider::new("1");
    let operator = vec![Role::Viewer, Role::Operator];
    let both = vec![Role::Viewer, Role::Submitter, Role::Operator];
    for (claim, groups, roles) in [
        ("cognito:groups", json!(["support"]), operator.clone()),
        ("cognito:groups", json!(["users", "support"]), both.clone()),
        (
            "cognito:groups",
            json!(["admin", "operator"]),
            vec![Role::Viewer],
        ),
        (
            "cognito:groups",
            json!({ "support": true }),
            vec![Role::Viewer],
        ),
        ("cognito:groups", Value::Null, vec![Role::Viewer]),
        ("scope", json!("users support"), both),
        (
            "https://id.example/groups",
            json!(["support"]),
            operator.clone(),
        ),
        ("/realm/roles", json!(["support"]), vec![Role::Viewer]),
    ] {
        let auth = provided(&[provider.jwk()], |config| {
            config.groups_claim = claim.into()
        });
        let mut claims = with("cognito:groups", Value::Null);
        claims[claim] = groups;
        let found = token(&auth, &provider.sign(&claims)).await.unwrap();
        assert_eq!(found.caller, Caller::new("ann", &roles), "{claims}");
    }
    let nested = provided(&[provider.jwk()], |config| {
        config.groups_claim = "/realm/roles".into()
    });
    let claims = with("realm", json!({ "roles": ["support"] }));
    let found = token(&nested, &provider.sign(&claims)).await.unwrap();
    assert_eq!(found.caller, Caller::new("ann", &operator));
    let other = provided(&[provider.jwk()], |config| {
        config.subject_claim = "email".into()
    });
    let claims = with("email", json!("ann@example.com"));
    let found = token(&other, &provider.sign(&claims)).await.unwrap();
    assert_eq!(found.caller.subject, "ann@example.com");
}

#[tokio::test]
async fn only_the_providers_signature_is_accepted() {
    let (provider, stranger) = (Provider::new("1"), Provider::new("1"));
    let jwk = provider.jwk();
    let auth = provided(std::slice::from_ref(&jwk), |_| {});
    let good = provider.sign(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = part(claims());
    // The public key as the secret of an HMAC, a known confusion.
    let hmac = {
        use hmac::{Hmac, KeyInit, Mac};
        let signed = format!("{}.{payload}", part(json!({ "alg": "HS256", "kid": "1" })));
        let mut mac = Hmac::<Sha256>::new_from_slice(provider.pair.public_key().as_ref()).unwrap();
        mac.update(signed.as_bytes());
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        )
    };
    for (what, bad) in [
        ("another key", stranger.sign(&claims())),
        (
            "another key's id",
            provider.sign_with(&json!({ "alg": "ES256", "kid": "2" }), &claims()),
        ),
        (
            "other claims",
            format!(
                "{}.{}.{signature}",
                good.split('.').next().unwrap(),
                part(with("sub", json!("eve")))
            ),
        ),
        (
            "a shorter signature",
            format!("{signed}.{}", &signature[..signature.len() - 4]),
        ),
        ("no signature", format!("{signed}.")),
        (
            "alg none",
            format!("{}.{payload}.", part(json!({ "alg": "none" }))),
        ),
        ("alg HS256", hmac),
        (
            "alg RS256",
            provider.sign_with(&json!({ "alg": "RS256", "kid": "1" }), &claims()),
        ),
        (
            "alg ES384",
            provider.sign_with(&json!({ "alg": "ES384", "kid": "1" }), &claims()),
        ),
        (
            "crit",
            provider.sign_with(
                &json!({ "alg": "ES256", "kid": "1", "crit": ["b64"], "b64": false }),
                &claims(),
            ),
        ),
        (
            "its own key",
            provider.sign_with(
                &json!({ "alg": "ES256", "kid": "2", "jwk": jwk }),
                &claims(),
            ),
        ),
        ("four parts", format!("{good}.x")),
        ("two parts", signed.to_owned()),
    ] {
        assert_eq!(token(&auth, &bad).await, Err(AuthError::Invalid), "{what}");
    }
    assert!(token(&auth, &good).await.is_ok());
    // Without an id every key that fits is tried.
    let nameless = provider.sign_with(&json!({ "alg": "ES256" }), &claims());
    assert!(token(&auth, &nameless).await.is_ok());
}

#[tokio::test]
async fn rs256() {
    // Signed once; the private key was deleted.
    const N: &str = "u6hBQ1KVMpfj2lIBgSY-tcRujsXf5uWJCzrqOPIKvW5z0jVB2PvGg3fgcbXE4HqroN8oC8pLy5fs5nfi5x5SUUZo1Ai3MSYVzpLK-_iegdeOXskcBbJDbPVVBUeRj2O-JGlRsBAOqDPJLE8AW4hbTmYabjmBuIztO8AaLZzFBjyM5kGlfezrJTpqkIZXX2iaXhuQlDEd81OAA0w3EvWgGyvamf0K6Le5BlwHrmiLOoQ4vJdbHrSJXxuaCLWfrKTwUb0uT33HFL7ycaD3wU86j6-cSuVZnF_putqFdqcpa85HIcxfmF0i4VoHOoFzD_sSEFnzw-NXO19kKjEBwq9zFw";
    const HEADER: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xIiwidHlwIjoiSldUIn0";
    const CLAIMS: &str = "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJhcHAiLCJzdWIiOiJhbm4iLCJleHAiOjIwMDAsImlhdCI6MTAwMCwiY29nbml0bzpncm91cHMiOlsic3VwcG9ydCJdfQ";
    const SIGNATURE: &str = "eFLuM7dkCCp_eltKa9CqvKrXZktNPNJWsVq-J1X-2IPNaY3wB-QGOmNl0Fk3uCjGaAfouQHgwBZAmM7k4zdaNVMbMOrXKV0HlX95hZROgn8myGQHAig0mtlq8bZUVUpk-x_Ss2lz3fP98e9AvRHWerO4iZ7q8CMGKtl2nyj0iwtYBoexa_kJDDCAYFzbZVTS7VVHlOpbSsOgvzH_ux4uRPEa9kjirUPHfXH-JX0CtODdwH-54QBFejMimtDmC6cm0AG2xT-6Cyr3kwegwHACbJ-_GxjOF_RYZAxRlsc3bC3QDjPotdAj2ILGOzpDHgbaJxBZOK3_OTiqwkkqM4iygw";
    let key =
        json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": "rsa-1", "n": N, "e": "AQAB" });
    let auth = provided(&[Provider::new("ec-1").jwk(), key], |_| {});
    let found = token(&auth, &format!("{HEADER}.{CLAIMS}.{SIGNATURE}"))
        .await
        .unwrap();
    assert_eq!(
        found.caller,
        Caller::new("ann", &[Role::Viewer, Role::Operator])
    );
    let other = URL_SAFE_NO_PAD.encode(with("sub", json!("eve")).to_string());
    let forged = token(&auth, &format!("{HEADER}.{other}.{SIGNATURE}")).await;
    assert_eq!(forged, Err(AuthError::Invalid));
}

#[tokio::test]
async fn a_token_is_read_up_to_its_limit() {
    let provider = Provider::new("1");
    let auth = provided(&[provider.jwk()], |_| {});
    let padded = |bytes| provider.sign(&with("pad", Value::from("a".repeat(bytes))));
    // Base64 encodes three bytes as four characters: some padding gives the limit exactly.
    let mut bytes = (TOKEN_BYTES - padded(1).len()) / 4 * 3;
    while padded(bytes + 1).len() <= TOKEN_BYTES {
        bytes += 1;
    }
    assert_eq!(padded(bytes).len(), TOKEN_BYTES);
    assert!(token(&auth, &padded(bytes)).await.is_ok());
    assert_eq!(
        token(&auth, &padded(bytes + 1)).await,
        Err(AuthError::Invalid)
    );
}

/// A provider that publishes the keys that a test sets, and counts its requests.
struct Published {
    url: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Published {
    async fn start() -> Published {
        let answer = Arc::new(Mutex::new((StatusCode::OK, String::new())));
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (answers, counter) = (Arc::clone(&answer), Arc::clone(&asked));
        let route = get(async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            answers.lock().clone()
        });
        let app = Router::new().route("/jwks.json", route);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Published { url, answer, asked }
    }

    fn publish(&self, keys: &[&Provider]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        *self.answer.lock() = (StatusCode::OK, json!({ "keys": keys }).to_string());
    }

    fn fail(&self) {
        *self.answer.lock() = (StatusCode::INTERNAL_SERVER_ERROR, "no keys today".into());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn served(&self) -> Authenticator {
        let issuer = Oidc::open(config(&self.url), Time::from_millis(NOW)).unwrap();
        Authenticator::new(vec![], vec![issuer], signer())
    }
}

/// A token of this key that never expires.
fn lasting(key: &Provider) -> String {
    key.sign(&with("exp", json!(1e12)))
}

#[tokio::test]
async fn rotated_keys_are_read_again() {
    let (old, new) = (Provider::new("old"), Provider::new("new"));
    let published = Published::start().await;
    published.publish(&[&old]);
    let auth = published.served();
    assert_eq!(
        published.asked(),
        0,
        "the start does not wait for the provider"
    );
    for _ in 0..3 {
        assert!(token(&auth, &lasting(&old)).await.is_ok());
    }
    assert_eq!(published.asked(), 1);
    // The provider adds a new key: the first token that is signed with it causes a request, but not
    // more often than allowed.
    published.publish(&[&old, &new]);
    let soon = NOW + READ_EVERY_MILLIS;
    assert_eq!(
        token_at(&auth, &lasting(&new), soon - 1).await,
        Err(AuthError::Invalid)
    );
    assert_eq!(published.asked(), 1);
    assert!(token_at(&auth, &lasting(&new), soon).await.is_ok());
    assert_eq!(published.asked(), 2);
    for id in 0..5 {
        let invented = Provider::new(&id.to_string());
        let answer = token_at(&auth, &lasting(&invented), soon + 1).await;
        assert_eq!(answer, Err(AuthError::Invalid));
    }
    assert_eq!(
        published.asked(),
        2,
        "invented ids ask the provider for nothing"
    );
    // The provider withdraws the old key: its tokens end when the set is no longer fresh.
    published.publish(&[&new]);
    assert!(
        token_at(&auth, &lasting(&old), soon + FRESH_MILLIS - 1)
            .await
            .is_ok()
    );
    let later = soon + FRESH_MILLIS;
    assert_eq!(
        token_at(&auth, &lasting(&old), later).await,
        Err(AuthError::Invalid)
    );
    assert!(token_at(&auth, &lasting(&new), later).await.is_ok());
}

#[tokio::test]
async fn keys_of_an_unavailable_provider_stay_valid_for_a_while() {
    let key = Provider::new("1");
    let published = Published::start().await;
    published.fail();
    let auth = published.served();
    assert_eq!(
        token(&auth, &lasting(&key)).await,
        Err(AuthError::Unavailable)
    );
    published.publish(&[&key]);
    let read_at = NOW + READ_EVERY_MILLIS;
    assert!(token_at(&auth, &lasting(&key), read_at).await.is_ok());
    // The last set remains valid for a while; then no token can be checked.
    published.fail();
    assert!(
        token_at(&auth, &lasting(&key), read_at + STALE_MILLIS - 1)
            .await
            .is_ok()
    );
    let over = token_at(&auth, &lasting(&key), read_at + STALE_MILLIS).await;
    assert_eq!(over, Err(AuthError::Unavailable));
}

#[tokio::test]
async fn key_sets_are_read_up_to_their_limits() {
    let key = Provider::new("last");
    let passed_over = [
        json!({ "kty": "RSA", "kid": "enc", "use": "enc", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "long", "x": "AQAB", "y": "AQAB" }),
        json!({ "kty": "oct", "kid": "secret", "k": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AQAB" }),
        json!({ "kty": "of tomorrow" }),
        json!("no key at all"),
    ];
    for (before, found) in [(KEYS - 1, true), (KEYS, false)] {
        let mut keys: Vec<Value> = passed_over.iter().cycle().take(before).cloned().collect();
        keys[0] = Provider::new("first").jwk();
        keys.push(key.jwk());
        let auth = provided(&keys, |_| {});
        assert_eq!(
            token(&auth, &key.sign(&claims())).await.is_ok(),
            found,
            "{before}"
        );
    }
    for (bytes, found) in [(JWKS_BYTES, true), (JWKS_BYTES + 1, false)] {
        let set = json!({ "keys": [key.jwk()] }).to_string();
        let set = format!("{set}{}", " ".repeat(bytes - set.len()));
        let published = Published::start().await;
        *published.answer.lock() = (StatusCode::OK, set.clone());
        let answer = token(&published.served(), &key.sign(&claims())).await;
        assert_eq!(answer.is_ok(), found, "{bytes}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), set).unwrap();
        let mut config = config("");
        (config.jwks_url, config.jwks_file) = (None, Some(file.path().to_owned()));
        assert_eq!(
            Oidc::open(config, Time::from_millis(NOW)).is_ok(),
            found,
            "{bytes}"
        );
    }
}

#[test]
fn a_wrong_key_file_is_found_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let open = || {
        let mut config = config("");
        (config.jwks_url, config.jwks_file) = (None, Some(path.clone()));
        Oidc::open(config, Time::from_millis(NOW))
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert!(open().contains("keys.json cannot be read"));
    for (text, said) in [
        ("keys", "the key set is not {\"keys\": […]}"),
        ("{\"keys\": []}", "no key for RS256"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = open();
        assert!(
            error.contains("https://id.example") && error.contains(said),
            "{error}"
        );
    }
}

#[test]
fn no_secret_is_in_debug_output() {
    let shown = format!(
        "{:?}",
        Authenticator::new(vec![api_key("secret")], vec![], signer())
    );
    assert!(
        shown.contains("backend") && !shown.contains("sha256"),
        "{shown}"
    );
}

/// The name of the check that a token fails.
async fn failed(auth: &Authenticator, authorization: &str) -> &'static str {
    let credentials = Credentials {
        authorization: Some(authorization),
        api_key: None,
    };
    match auth.find(credentials, Time::from_millis(NOW)).await {
        Ok(found) => panic!("{found:?}"),
        Err(Refusal::Failed(check)) => {
            assert!(!check.to_string().contains(authorization), "{check}");
            check.name()
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_refused_token_fails_a_check_with_a_name() {
    let provider = Provider::new("1");
    let auth = provided(&[provider.jwk()], |_| {});
    let header = |name: &str, value: Value| {
        let mut header = json!({ "alg": "ES256", "kid": "1" });
        header[name] = value;
        provider.sign_with(&header, &claims())
    };
    let of = |claims: Value| provider.sign(&claims);
    let good = of(claims());
    for (token, check) in [
        ("no token at all".to_owned(), "form"),
        ("a.b.c".to_owned(), "form"),
        (good.replacen('.', ".x", 1), "form"),
        ("x".repeat(TOKEN_BYTES + 1), "form"),
        ("jc1.forged.x".to_owned(), "own_token"),
        (of(with("iss", json!("https://id.example/"))), "issuer"),
        (of(with("iss", json!(["https://id.example"]))), "issuer"),
        (of(with("iss", Value::Null)), "issuer"),
        (of(with("aud", json!("account"))), "audience"),
        (of(with("aud", Value::Null)), "audience"),
        (of(with("token_use", json!("refresh"))), "token_use"),
        (header("alg", json!("PS256")), "algorithm"),
        (header("alg", json!("HS256")), "algorithm"),
        (header("alg", json!("RS512")), "algorithm"),
        (header("crit", json!(["exp"])), "crit"),
        (header("kid", json!("other")), "key_id"),
        (header("alg", json!("RS256")), "key_id"),
        (Provider::new("1").sign(&claims()), "signature"),
        (of(with("exp", json!(1000))), "expiry"),
        (of(with("exp", Value::Null)), "no_expiry"),
        (of(with("exp", json!("2000"))), "time"),
        (of(with("nbf", json!(9_999))), "not_before"),
        (of(with("sub", Value::Null)), "subject"),
        (of(with("sub", json!("x".repeat(300)))), "subject"),
    ] {
        assert_eq!(failed(&auth, &token).await, check, "{token}");
    }
    let keys = Authenticator::new(vec![api_key("secret")], vec![], signer());
    assert_eq!(failed(&keys, "wrong").await, "api_key");
}

#[tokio::test]
async fn a_provider_that_is_configured_for_two_audiences_is_tried_for_each() {
    let provider = Provider::new("1");
    let one = |audience: &str, role| {
        let Authenticator { mut issuers, .. } = provided(&[provider.jwk()], |config| {
            config.audience = vec![audience.to_owned()];
            config.everybody = vec![role];
            config.groups.clear();
        });
        issuers.remove(0)
    };
    let issuers = vec![one("web", Role::Viewer), one("mobile", Role::Submitter)];
    let auth = Authenticator::new(vec![], issuers, signer());
    for (audience, roles) in [("web", [Role::Viewer]), ("mobile", [Role::Submitter])] {
        let found = token(&auth, &provider.sign(&with("aud", json!(audience)))).await;
        assert_eq!(found.unwrap().caller, Caller::new("ann", &roles));
    }
    let other = provider.sign(&with("aud", json!("other")));
    assert_eq!(failed(&auth, &other).await, "audience");
    // It was valid for the first audience once.
    let mut old = with("aud", json!("web"));
    old["exp"] = json!(1000);
    let old = token(&auth, &provider.sign(&old)).await;
    assert_eq!(old, Err(AuthError::Expired));
}

/// The names of the providers' callers whose claim is `ann`; an error says why the configuration is
/// refused.
fn prefixes(providers: &[(&str, Option<&str>)], key: &str) -> Result<Vec<String>, String> {
    let mut configs: Vec<OidcConfig> = providers
        .iter()
        .map(|(issuer, prefix)| OidcConfig {
            issuer: (*issuer).to_owned(),
            owner_prefix: prefix.map(ToOwned::to_owned),
            ..config("https://id.example/keys")
        })
        .collect();
    let keys = [ApiKey {
        subject: key.to_owned(),
        ..api_key("secret")
    }];
    keep_apart(&mut configs, &keys).map_err(|error| error.to_string())?;
    let prefixes = configs.into_iter();
    Ok(prefixes
        .map(|config| config.owner_prefix.unwrap_or_default())
        .collect())
}

#[test]
fn each_provider_gives_names_with_its_prefix() {
    for (providers, expected) in [
        (vec![("a", None)], vec![""]),
        (vec![("a", Some("p|"))], vec!["p|"]),
        (vec![("a", None), ("a", None)], vec!["", ""]),
        (vec![("a", None), ("b", None)], vec!["a|", "b|"]),
        (vec![("a", Some("")), ("b", None)], vec!["", "b|"]),
        (
            vec![("a", Some("x|")), ("b", None), ("a", Some("x|"))],
            vec!["x|", "b|", "x|"],
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(prefixes(&providers, "ann"), Ok(expected), "{providers:?}");
    }
    let long = "i".repeat(PREFIX_BYTES + 1);
    for (providers, key) in [
        (vec![("a", Some("")), ("b", Some(""))], "k"),
        (vec![("a", Some("x")), ("b", Some("x"))], "k"),
        (vec![("a", Some("x")), ("b", Some("xy"))], "k"),
        (vec![("a", Some("xy")), ("b", Some("x"))], "k"),
        (vec![("a", Some("acme|"))], "acme|ann"),
        (vec![("a", None), ("b", None)], "b|ann"),
        (vec![("a", Some(long.as_str()))], "k"),
    ] {
        assert!(prefixes(&providers, key).is_err(), "{providers:?} {key}");
    }
    let mut two = [
        config("https://id.example/k"),
        config("https://id.example/k"),
    ];
    assert!(keep_apart(&mut two, &[]).is_ok());
    two[1].subject_claim = "email".to_owned();
    let error = keep_apart(&mut two, &[]).unwrap_err().to_string();
    assert!(error.contains("another subject_claim"), "{error}");
    let longest = "i".repeat(PREFIX_BYTES);
    assert!(prefixes(&[("a", Some(&longest))], "k").is_ok());
}

#[tokio::test]
async fn callers_of_different_sources_are_different_people() {
    let provider = Provider::new("1");
    let open = |issuer: &str, prefix: &str| {
        let Authenticator { mut issuers, .. } = provided(&[provider.jwk()], |config| {
            config.issuer = issuer.to_owned();
            config.owner_prefix = Some(prefix.to_owned());
        });
        issuers.remove(0)
    };
    let auth = Authenticator::new(
        vec![api_key("secret")],
        vec![open("https://one", ""), open("https://two", "two|")],
        signer(),
    );
    let of = |issuer: &str, subject: &str| {
        let mut claims = with("iss", json!(issuer));
        claims["sub"] = json!(subject);
        provider.sign(&claims)
    };
    for (issuer, subject, name) in [
        ("https://one", "ann", Ok("ann")),
        ("https://two", "ann", Ok("two|ann")),
        ("https://two", "backend", Ok("two|backend")),
        // The name of an API key, and a name that the other provider gives.
        ("https://one", "backend", Err("taken_name")),
        ("https://one", "two|ann", Err("taken_name")),
    ] {
        let signed = of(issuer, subject);
        match name {
            Ok(name) => {
                let found = token(&auth, &signed).await.unwrap();
                assert_eq!(found.caller.subject, name);
            }
            Err(check) => assert_eq!(failed(&auth, &signed).await, check),
        }
    }
    // With its prefix a name has at most as many bytes as an owner.
    let most = job::limits::OWNER_BYTES - "two|".len();
    let longest = token(&auth, &of("https://two", &"x".repeat(most))).await;
    assert_eq!(
        longest.unwrap().caller.subject.len(),
        job::limits::OWNER_BYTES
    );
    let longer = of("https://two", &"x".repeat(most + 1));
    assert_eq!(failed(&auth, &longer).await, "subject");
}
