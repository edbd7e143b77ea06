//! The output of one scrape, metric by metric.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelValue, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::insight::histogram::Histogram;

/// A series: its labels, and its value.
pub(super) type Series<V, L = &'static str> = (Vec<(&'static str, L)>, V);

/// A histogram in the form of a scrape.
struct Published<'a>(&'a Histogram);

impl EncodeMetric for Published<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let (all, buckets) = self.0.published();
        let sum = all.total.as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, all.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

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

    fn family<T, L: EncodeLabelValue, M: EncodeMetric>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        series: Vec<Series<T, L>>,
        metric: impl Fn(T) -> M,
    ) -> fmt::Result {
        let mut encoder = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in series {
            if labels.is_empty() {
                return metric(value).encode(encoder);
            }
            metric(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub(super) fn counters<L: EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<u64, L>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Counter), series, ConstCounter::new)
    }

    pub(super) fn seconds<L: EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<f64, L>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Counter), series, ConstCounter::new)
    }

    pub(super) fn gauges<L: EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<u64, L>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Gauge), series, ConstGauge::new)
    }

    pub(super) fn ratios<L: EncodeLabelValue>(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<f64, L>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Gauge), series, ConstGauge::new)
    }

    pub(super) fn histograms(
        &mut self,
        name: &str,
        help: &str,
        series: Vec<Series<&Histogram>>,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        self.family((name, help, kind), series, Published)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.encode(name, help, &ConstCounter::new(value))
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.encode(name, help, &ConstGauge::new(value))
    }
}
