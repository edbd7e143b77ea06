use proptest::prelude::*;

use super::*;

fn tcp(host: &str, port: u16) -> Target {
    Target::at(Address::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

#[test]
fn missing_parts_get_defaults() {
    assert_eq!(
        Target::parse("redis://localhost"),
        Ok(tcp("localhost", 6379))
    );
    assert_eq!(
        Target::parse("redis://localhost/"),
        Ok(tcp("localhost", 6379))
    );
    assert_eq!(Target::parse("redis://h:"), Ok(tcp("h", 6379)));
    assert_eq!(Target::parse("REDIS://h:1"), Ok(tcp("h", 1)));
    assert_eq!(
        Target::parse("redis://my_redis-1.svc"),
        Ok(tcp("my_redis-1.svc", 6379))
    );
}

#[test]
fn every_part_of_a_server_is_read() {
    assert_eq!(
        Target::parse("rediss://app:s3cret@cache.internal:6390/7"),
        Ok(Target {
            address: Address::Tls {
                host: "cache.internal".to_owned(),
                port: 6390,
            },
            username: secret("app"),
            password: secret("s3cret"),
            db: Some(7),
        }),
    );
}

#[test]
fn ip_addresses_are_hosts() {
    assert_eq!(
        Target::parse("redis://127.0.0.1:7000"),
        Ok(tcp("127.0.0.1", 7000))
    );
    assert_eq!(
        Target::parse("redis://[::1]:7000/0"),
        Ok(Target {
            db: Some(0),
            ..tcp("::1", 7000)
        })
    );
    assert_eq!(
        Target::parse("redis://[2001:DB8::1]"),
        Ok(tcp("2001:db8::1", 6379))
    );
    assert_eq!(Target::parse("redis://[::1"), Err(UrlError::Host));
    assert_eq!(Target::parse("redis://::1"), Err(UrlError::Host));
}

#[test]
fn user_and_password_are_percent_decoded() {
    let target = Target::parse("redis://us%3Aer:p%40ss%2F%23%25%20+%D0%B6@h").unwrap();
    assert_eq!(target.username, secret("us:er"));
    assert_eq!(target.password, secret("p@ss/#% +ж"));

    let target = Target::parse("redis://:only@h").unwrap();
    assert_eq!((target.username, target.password), (None, secret("only")));

    let target = Target::parse("redis://user:@h").unwrap();
    assert_eq!((target.username, target.password), (secret("user"), None));

    assert_eq!(Target::parse("redis://:%ff@h"), Err(UrlError::Encoding));
}

#[test]
fn an_impossible_server_is_refused() {
    for (url, refusal) in [
        ("", UrlError::Form),
        ("localhost:6379", UrlError::Form),
        ("redis:localhost", UrlError::Form),
        ("http://h", UrlError::Form),
        ("redis+tls://h", UrlError::Form),
        ("redis://", UrlError::Host),
        ("redis:///0", UrlError::Host),
        ("redis://:6379", UrlError::Host),
        ("redis://:pw@", UrlError::Host),
        ("redis://:pw@/0", UrlError::Host),
        ("redis://ho%20st", UrlError::Host),
        ("redis://хост", UrlError::Host),
        ("redis://h1,h2", UrlError::Host),
        ("redis://h:0", UrlError::Port),
        ("redis://h:65536", UrlError::Port),
        ("redis://h:port", UrlError::Port),
        ("redis://:pa/ss@h", UrlError::Slash),
        ("redis://h/0?user=a@b", UrlError::Query),
        ("redis://h/x", UrlError::Db),
        ("redis://h/-1", UrlError::Db),
        ("redis://h/+1", UrlError::Db),
        ("redis://h/1/", UrlError::Db),
        ("redis://h//1", UrlError::Db),
        ("redis://h/2147483648", UrlError::Db),
        ("redis://h/99999999999999999999", UrlError::Db),
        ("redis://h?db=1", UrlError::Query),
        ("rediss://h?ssl_cert_reqs=none", UrlError::Query),
        ("rediss://h#insecure", UrlError::Fragment),
        ("rediss://h/0#", UrlError::Fragment),
        ("redis://:pa#ss@h", UrlError::Fragment),
        ("redis://:pa ss@h", UrlError::Space),
        ("redis://:pa\tss@h", UrlError::Space),
    ] {
        assert_eq!(Target::parse(url), Err(refusal), "{url}");
    }
}

#[test]
fn a_socket_has_a_path_and_options() {
    let path = |path: &str| Target::at(Address::Unix(PathBuf::from(path)));
    assert_eq!(
        Target::parse("unix:///run/redis.sock"),
        Ok(path("/run/redis.sock"))
    );
    assert_eq!(
        Target::parse("redis+unix:///tmp/a%20b.sock?db=3&user=app&pass=p%26+w"),
        Ok(Target {
            username: secret("app"),
            password: secret("p&+w"),
            db: Some(3),
            ..path("/tmp/a b.sock")
        }),
    );
    for (url, refusal) in [
        ("unix://", UrlError::Socket),
        ("unix://run/redis.sock", UrlError::Socket),
        ("unix:///", UrlError::Socket),
        ("unix:///a%00b", UrlError::Socket),
        ("unix:///a?db=x", UrlError::Db),
        ("unix:///a?db=1&db=2", UrlError::SocketQuery),
        ("unix:///a?timeout=5", UrlError::SocketQuery),
        ("unix:///a?db", UrlError::SocketQuery),
        ("unix:///a#insecure", UrlError::Fragment),
    ] {
        assert_eq!(Target::parse(url), Err(refusal), "{url}");
    }
}

fn nodes(nodes: &[(&str, u16)]) -> Vec<(String, u16)> {
    let owned = |(host, port): &(&str, u16)| ((*host).to_owned(), *port);
    nodes.iter().map(owned).collect()
}

fn cluster(places: &[(&str, u16)], tls: bool) -> Target {
    let nodes = nodes(places);
    Target::at(Address::Cluster { nodes, tls })
}

#[test]
fn a_cluster_is_several_nodes() {
    assert_eq!(
        Target::parse("redis+cluster://app:p%2Cw@h1:7001,h2,[::1]:7003/0"),
        Ok(Target {
            username: secret("app"),
            password: secret("p,w"),
            ..cluster(&[("h1", 7001), ("h2", 6379), ("::1", 7003)], false)
        }),
    );
    for (url, refusal) in [
        ("redis-cluster://h1,h2", UrlError::Cluster),
        ("redis+tls+cluster://h1,h2", UrlError::Cluster),
        ("rediscluster://h1,h2", UrlError::Cluster),
        ("redis+cluster://h1?db=0,h2", UrlError::Query),
        ("redis+cluster://", UrlError::Host),
        ("redis+cluster://h1,,h2", UrlError::Host),
        ("redis+cluster://h1:0,h2", UrlError::Port),
        ("redis+cluster://:pa/ss@h1,h2", UrlError::Slash),
        ("redis+cluster://h1,h2/1", UrlError::ClusterDb),
        ("redis+cluster://h1?x=1", UrlError::Query),
    ] {
        assert_eq!(Target::parse(url), Err(refusal), "{url}");
    }
}

#[test]
fn sentinels_need_a_service_name() {
    assert_eq!(
        Target::parse("redis+sentinel://:pw@s1,s2:26380/mymaster/2"),
        Ok(Target {
            password: secret("pw"),
            db: Some(2),
            ..Target::at(Address::Sentinel {
                sentinels: nodes(&[("s1", 26379), ("s2", 26380)]),
                service: "mymaster".to_owned(),
                tls: false,
            })
        }),
    );
    for (url, refusal) in [
        ("sentinel://s1/mymaster", UrlError::Sentinel),
        ("redis+sentinel://s1", UrlError::Service),
        ("redis+sentinel:///mymaster", UrlError::Host),
        ("redis+sentinel://s1/", UrlError::Service),
        ("redis+sentinel://s1//0", UrlError::Service),
        ("redis+sentinel://s1/mymaster/x", UrlError::Db),
        ("redis+sentinel://:pa/ss@s1,s2/mymaster", UrlError::Slash),
    ] {
        assert_eq!(Target::parse(url), Err(refusal), "{url}");
    }
}

#[test]
fn clusters_and_sentinels_are_reached_over_tls_by_their_scheme() {
    let over_tls = |url: &str| Target::parse(url).unwrap().address.is_over_tls();
    assert_eq!(
        Target::parse("rediss+cluster://h"),
        Ok(cluster(&[("h", 6379)], true))
    );
    for (plain, encrypted) in [
        ("redis://h", "rediss://h"),
        ("redis+cluster://h,i", "REDISS+CLUSTER://h,i"),
        ("redis+sentinel://h,i/m", "rediss+sentinel://h,i/m"),
    ] {
        assert!(!over_tls(plain) && over_tls(encrypted), "{plain}");
    }
    assert!(!over_tls("unix:///s") && !over_tls("memory://"));
}

#[test]
fn all_nodes_have_one_user() {
    let target = Target {
        username: secret("u"),
        password: secret("p"),
        ..cluster(&[("h", 1), ("i", 2)], false)
    };
    for url in [
        "redis+cluster://u:p@h:1,i:2",
        "redis+cluster://u:p@h:1,u:p@i:2",
    ] {
        assert_eq!(Target::parse(url), Ok(target.clone()), "{url}");
    }
    for url in [
        "redis+cluster://u:p@h:1,u:q@i:2",
        "redis+cluster://h:1,u:p@i:2",
        // A password with a comma that is not encoded.
        "redis+sentinel://u:1,p@h/m",
    ] {
        assert_eq!(Target::parse(url), Err(UrlError::Users), "{url}");
    }
}

#[test]
fn memory_is_private_or_shared_under_a_name() {
    let memory = |name: Option<&str>| Ok(Target::at(Address::Memory(name.map(str::to_owned))));
    assert_eq!(Target::parse("memory://"), memory(None));
    assert_eq!(Target::parse("memory:///"), memory(None));
    assert_eq!(Target::parse("memory://Demo-1"), memory(Some("Demo-1")));
    for url in [
        "memory://a/b",
        "memory://a:1",
        "memory://u@a",
        "memory://a?b",
    ] {
        assert_eq!(Target::parse(url), Err(UrlError::Memory), "{url}");
    }
}

#[test]
fn debug_shows_neither_user_nor_password() {
    let shown = format!("{:?}", Target::parse("redis://alice:hunter2@h").unwrap());
    assert!(
        !shown.contains("alice") && !shown.contains("hunter2"),
        "{shown}"
    );
}

proptest! {
    #[test]
    fn no_url_makes_parsing_panic(
        scheme in "rediss?(\\+cluster|\\+sentinel)?|unix|redis\\+unix|memory",
        rest in ".*|[a-c@:/,\\[\\]?#%0-9.=&]{0,30}",
    ) {
        let _ = Target::parse(&format!("{scheme}://{rest}"));
    }

    #[test]
    fn a_percent_encoded_password_is_decoded_exactly(password in ".+") {
        let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        for url in [
            format!("redis://:{encoded}@h"),
            format!("redis+cluster://:{encoded}@h,i"),
            format!("rediss+sentinel://:{encoded}@h,i/m"),
            format!("unix:///s?pass={encoded}"),
        ] {
            prop_assert_eq!(Target::parse(&url).unwrap().password, Some(Secret::new(&*password)));
        }
    }
}
