"""营销中台数据治理: models of stored fields, a chain of handlers, an archive, deliveries (R210–R215)."""
