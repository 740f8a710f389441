from tests.support.pages import chromium, dashboard, development

__all__ = ["chromium", "dashboard", "development"]
