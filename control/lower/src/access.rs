//! Access logs and error pages, as the proxy has them.

use config::{LogTarget, SyslogAddress};

/// `service.access_log`
pub(crate) fn log(log: &config::AccessLog) -> l7_api::AccessLog {
    l7_api::AccessLog {
        format: match log.format {
            config::LogFormat::Http => l7_api::LogFormat::Http,
            config::LogFormat::Tcp => l7_api::LogFormat::Tcp,
            config::LogFormat::Combined => l7_api::LogFormat::Combined,
            config::LogFormat::Json => l7_api::LogFormat::Json,
        },
        to: match &log.to {
            LogTarget::File(path) => l7_api::LogTarget::File(path.clone()),
            LogTarget::Syslog { to, header, facility } => l7_api::LogTarget::Syslog {
                to: match to {
                    SyslogAddress::Udp(to) => l7_api::SyslogAddress::Udp(*to),
                    SyslogAddress::Unix(path) => l7_api::SyslogAddress::Unix(path.clone()),
                },
                header: match header {
                    config::SyslogHeader::Rfc5424 => l7_api::SyslogHeader::Rfc5424,
                    config::SyslogHeader::Rfc3164 => l7_api::SyslogHeader::Rfc3164,
                },
                facility: *facility,
            },
        },
    }
}

/// One of `service.http.error_pages`
pub(crate) fn page(page: &config::ErrorPage) -> l7_api::ErrorPage {
    l7_api::ErrorPage {
        status: page.status,
        content_type: page.content_type.clone(),
        body: page.body.clone().into_bytes(),
    }
}
