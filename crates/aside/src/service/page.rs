//! The output of one scrape, metric by metric.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;

/// A series: its labels, and its value.
pub(super) type Series<V> = (Vec<(&'static str, &'static str)>, V);

/// The output of one scrape.
pub(super) struct Page<'a> {
    pub(super) encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    pub(super) fn encode(
        &mut self,
        name: &str,
        help: &str,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        let encoder = self
            .encoder
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn family<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: Vec<Series<M>>,
    ) -> fmt::Result {
        let mut encoder = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, metric) in series {
            if labels.is_empty() {
                return metric.encode(encoder);
            }
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub(super) fn counters(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<u64>>,
    ) -> fmt::Result {
        let series = series
            .into_iter()
            .map(|(labels, value)| (labels, ConstCounter::new(value)));
        self.family(name, help, MetricType::Counter, series.collect())
    }

    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<u64>>,
    ) -> fmt::Result {
        let series = series
            .into_iter()
            .map(|(labels, value)| (labels, ConstGauge::new(value)));
        self.family(name, help, MetricType::Gauge, series.collect())
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<&Histogram>>,
    ) -> fmt::Result {
        let series = series
            .into_iter()
            .map(|(labels, metric)| (labels, metric.clone()));
        self.family(name, help, MetricType::Histogram, series.collect())
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.encode(name, help, &ConstCounter::new(value))
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.encode(name, help, &ConstGauge::new(value))
    }
}
