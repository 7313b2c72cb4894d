"""Self-contained HTML pages: no script, nothing loaded from elsewhere, charts as SVG that the templates draw."""
